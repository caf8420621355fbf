import {
  createDeployment,
  createHttpClient,
  type Deployment,
  type HttpClient,
  type ReadyServer,
  type StoreName,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll } from "vitest";

/** The example server on an empty store. */
export interface Stage {
  readonly deployment: () => Deployment;
  readonly client: () => HttpClient;
  readonly url: () => string;
}

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function reposStage(store: StoreName, env: Readonly<Record<string, string>> = {}): Stage {
  let deployment: Deployment;
  let server: ReadyServer;
  let client: HttpClient;

  beforeAll(async () => {
    deployment = await createDeployment({ store, postgresUrl: postgresUrl(), env });
    server = await deployment.start();
    client = createHttpClient(server.url);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
    await deployment[Symbol.asyncDispose]();
  });

  return { deployment: () => deployment, client: () => client, url: () => server.url };
}
