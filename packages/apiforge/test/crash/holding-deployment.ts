import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createDeployment,
  type Deployment,
  type SandboxProcess,
  type StoreName,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";

/** A deployment of `servers/holding-server.ts`. */
export interface HoldingDeployment extends Deployment {
  /** Lets everything go on that holds, in every server. */
  letGo(): void;
  /** Ids of the notes that are committed, sorted. */
  notes(): Promise<string[]>;
}

const entry = fileURLToPath(new URL("./servers/holding-server.ts", import.meta.url));

export async function createHoldingDeployment(
  store: StoreName,
  sandbox: SandboxProcess,
  env: Readonly<Record<string, string>> = {},
): Promise<HoldingDeployment> {
  const deployment = await createDeployment({ store, postgresUrl: postgresUrl(), sandbox, entry });
  const heldUntil = join(deployment.dataDir, "let-go");
  return {
    ...deployment,
    start(options = {}) {
      const allEnv = { HOLD_UNTIL: heldUntil, ...env, ...options.env };
      return deployment.start({ ...options, env: allEnv });
    },
    letGo: () => writeFileSync(heldUntil, ""),
    notes() {
      return deployment.inspect(async (raw) => {
        const rows = await raw.all("select id from notes order by id");
        return rows.map((row) => String(row["id"]));
      });
    },
  };
}
