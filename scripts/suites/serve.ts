import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createForge, type Route } from "apiforge";

/** A server that a suite asks. */
export interface SuiteServer extends AsyncDisposable {
  readonly url: string;
}

/** Serves `routes` on an empty embedded store, at a free port of this machine. */
export async function serve(routes: readonly Route[]): Promise<SuiteServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "apiforge-suite-"));
  const config = {
    dataDir,
    port: 0,
    host: "127.0.0.1",
    jobConcurrency: 0,
    logLevel: "silent",
  } as const;
  const forge = await createForge({ routes }, { config });
  const { url } = await forge.listen();
  return {
    url,
    async [Symbol.asyncDispose]() {
      await forge.stop();
      rmSync(dataDir, { recursive: true });
    },
  };
}
