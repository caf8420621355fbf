import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  createDeployment,
  type Deployment,
  type HttpClient,
  type SandboxProcess,
  type StoreName,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";

const entry = fileURLToPath(new URL("../crash/servers/audit-server.ts", import.meta.url));
const program = fileURLToPath(new URL("../../src/cli/audit.ts", import.meta.url));

/** A deployment of the server whose notes are audited. */
export function deployAudited(store: StoreName, sandbox?: SandboxProcess): Promise<Deployment> {
  const given = sandbox === undefined ? {} : { sandbox };
  return createDeployment({ store, postgresUrl: postgresUrl(), entry, ...given });
}

/** Adds a note, which is answered with 201 or not at all. */
export async function addNote(client: HttpClient, token: string, id: string): Promise<boolean> {
  const headers = { "idempotency-key": id };
  const request = { method: "POST", path: "/notes", token, headers, body: { id } };
  const response = await client.request(request).catch(() => undefined);
  return response?.status === 201;
}

/** How the command ended. */
export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `npm run -s audit -- …`, by the program that it runs, beside whatever serves. */
export function auditCommand(
  { store, dataDir, database }: Deployment,
  ...args: readonly string[]
): Promise<CommandEnd> {
  const env = {
    PATH: process.env["PATH"],
    APIFORGE_DATA_DIR: dataDir,
    ...(store === "postgres" ? { DATABASE_URL: database } : {}),
  };
  const command = ["--conditions=@apiforge/source", program, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, { env }, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : 0;
      resolve({ code, stdout, stderr });
    });
  });
}
