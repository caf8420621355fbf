import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createForge, type Route, type System } from "apiforge";

/** A server that a suite asks. */
export interface SuiteServer extends AsyncDisposable {
  readonly url: string;
}

/** Serves `routes`, with what else belongs to their system, on an empty embedded store, at a free port of this machine. */
export async function serve(
  routes: readonly Route[],
  rest: Omit<System, "routes"> = {},
): Promise<SuiteServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "apiforge-suite-"));
  const config = {
    dataDir,
    port: 0,
    host: "127.0.0.1",
    jobConcurrency: 0,
    logLevel: "silent",
  } as const;
  const forge = await createForge({ ...rest, routes }, { config });
  const { url } = await forge.listen();
  return {
    url,
    async [Symbol.asyncDispose]() {
      await forge.stop();
      rmSync(dataDir, { recursive: true });
    },
  };
}
