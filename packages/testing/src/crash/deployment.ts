import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDevIssuer, readConfig } from "apiforge/internal/app";
import { silentLog } from "apiforge/internal/kernel";
import { createDatabase } from "../postgres/index.ts";
import { openRaw, type RawDatabase } from "./raw-database.ts";
import { startSandboxProcess, type SandboxProcess } from "./sandbox-process.ts";
import { spawnServer, type ProcessOptions, type ReadyServer } from "./server-process.ts";

/** The stores that every promise is kept on. */
export const storeNames = ["sqlite", "postgres"] as const;
export type StoreName = (typeof storeNames)[number];

/** What a deployment is made of. */
export interface DeploymentOptions {
  readonly store: StoreName;
  /** The PostgreSQL to create the database on, as a user who may; needed for the store `postgres`. */
  readonly postgresUrl: string;
  /** The program; default the example server. */
  readonly entry?: string;
  /** Environment of every server, beside where its data are. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a new folder, which is removed in the end. One that is given stays. */
  readonly dataDir?: string;
  /** Default: one of its own. One that is given stays. */
  readonly sandbox?: SandboxProcess;
}

/** Whom a token speaks for; defaults are those of `npm run token`. */
export interface TokenClaims {
  readonly sub: string;
  readonly tenant?: string;
  readonly email?: string;
  readonly role?: string;
}

/** How one server of a deployment is started. */
export type StartOptions = Pick<ProcessOptions, "env" | "pauseAt" | "wrapper">;

/** What outlives the server processes: data, keys and the providers that they talk to. */
export interface Deployment extends AsyncDisposable {
  readonly store: StoreName;
  readonly dataDir: string;
  /** The database: a PostgreSQL URL, or the path of the SQLite file. */
  readonly database: string;
  readonly sandbox: SandboxProcess;
  /** Starts a server on the data and waits until it serves. It is killed when the deployment ends. */
  start(options?: StartOptions): Promise<ReadyServer>;
  /** A token of the development issuer, valid for 2 hours. */
  token(claims: TokenClaims): Promise<string>;
  /** Looks at the database without any code of the library under test. */
  inspect<T>(look: (raw: RawDatabase) => Promise<T>): Promise<T>;
}

const exampleServer = sourceFile("../../../../examples/server/src/main.ts");

/** Makes an empty deployment; no server runs yet. */
export async function createDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { store, entry = exampleServer } = options;
  await using made = new AsyncDisposableStack();
  const dataDir = options.dataDir ?? made.adopt(temporaryDirectory(), removeDirectory);
  const sandbox = options.sandbox ?? made.use(await startSandboxProcess());
  const postgres =
    store === "postgres" ? made.use(await createDatabase(options.postgresUrl)) : undefined;
  const env = {
    PORT: "0",
    APIFORGE_DATA_DIR: dataDir,
    APIFORGE_LOG_LEVEL: "warn",
    SLACK_WEBHOOK_URL: sandbox.slackWebhookUrl,
    CLINIC_SMS_URL: `${sandbox.url}/sms/`,
    CLINIC_CRM_URL: `${sandbox.url}/crm/`,
    SMTP_URL: sandbox.smtpUrl,
    ...sandbox.twilioEnv,
    ...(postgres === undefined ? {} : { DATABASE_URL: postgres.url }),
    ...options.env,
  };
  const database = postgres?.url ?? join(dataDir, "apiforge.db");
  const resources = made.move();
  return {
    store,
    dataDir,
    database,
    sandbox,
    async start(start = {}) {
      return resources.use(await spawnServer({ ...start, entry, env: { ...env, ...start.env } }));
    },
    token: (claims) => signToken(claims, env),
    async inspect(look) {
      await using raw = await openRaw(database);
      return await look(raw);
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function signToken(
  { sub, tenant = "ten_apiforge", role = "admin", email }: TokenClaims,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const issuer = await openDevIssuer(readConfig(env), silentLog);
  const who = { subject: sub, tenant, role, ...(email === undefined ? {} : { email }) };
  return issuer.sign({ ...who, ttl: "2h" });
}

function sourceFile(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), "apiforge-deployment-"));
}

function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5 });
}
