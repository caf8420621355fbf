import { afterAll, beforeAll } from "vitest";

import {
  createDeployment,
  type Deployment,
  type DeploymentOptions,
  type StartOptions,
  type StoreName,
} from "./crash/deployment.ts";
import type { ReadyServer } from "./crash/server-process.ts";
import { createHttpClient, type HttpClient } from "./http-client.ts";
import { postgresUrl } from "./postgres-url.ts";

/** A server that runs during the tests of a suite. What it has exists from the first test on. */
export interface Served {
  readonly deployment: () => Deployment;
  readonly server: () => ReadyServer;
  /** Speaks to the server. */
  readonly client: () => HttpClient;
  /** Speaks to the sandbox that stands in for its providers. */
  readonly providers: () => HttpClient;
}

/**
 * Starts a server on an empty store before the tests of the surrounding suite, and stops it after them.
 * `env` of the options gives way to the sandbox's own variables, that of `start` does not.
 */
export function serveDuringTests(
  store: StoreName,
  options: Pick<DeploymentOptions, "entry" | "env"> = {},
  start: StartOptions = {},
): Served {
  let deployment: Deployment;
  let server: ReadyServer;
  let client: HttpClient;
  let providers: HttpClient;
  beforeAll(async () => {
    deployment = await createDeployment({ store, postgresUrl: postgresUrl(), ...options });
    server = await deployment.start(start);
    client = createHttpClient(server.url);
    providers = createHttpClient(deployment.sandbox.url);
  });
  afterAll(async () => {
    await client.close();
    await providers.close();
    await server.stop();
    await deployment[Symbol.asyncDispose]();
  });
  return {
    deployment: () => deployment,
    server: () => server,
    client: () => client,
    providers: () => providers,
  };
}
