import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The secret of this deployment: what the operator gave, else one kept in `dataDir`, made at the
 * first start.
 */
export function deploymentSecret(given: string | undefined, dataDir: string): string {
  if (given !== undefined) return given;
  const folder = join(dataDir, "keys");
  const path = join(folder, "secret");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    // "wx" fails when the file is there, so two processes that start at once agree on one secret.
    writeFileSync(path, randomBytes(32).toString("hex"), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  return readFileSync(path, "utf8");
}
