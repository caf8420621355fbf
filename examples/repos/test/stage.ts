import type { Deployment, HttpClient, StoreName } from "@apiforge/testing";
import { serveDuringTests } from "@apiforge/testing/served";

/** The example server on an empty store. */
export interface Stage {
  readonly deployment: () => Deployment;
  readonly client: () => HttpClient;
  readonly url: () => string;
}

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function reposStage(store: StoreName, env: Readonly<Record<string, string>> = {}): Stage {
  const { deployment, server, client } = serveDuringTests(store, { env });

  return { deployment, client, url: () => server().url };
}
