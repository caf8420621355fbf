/** How the peer writes a project and its event. */
export type StoreKind = "transaction" | "single-statement";

/** What the peer is told by its environment. */
export interface Settings {
  readonly port: number;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** HS256 secret of the access tokens. */
  readonly jwtSecret: string;
  readonly postgresConnections: number;
  readonly store: StoreKind;
  /** Jobs that the worker in this process runs at once; 0 starts no worker. */
  readonly jobConcurrency: number;
}

/** Reads PORT, DATABASE_URL, REDIS_URL, JWT_SECRET, PG_POOL, STORE and JOB_CONCURRENCY; all are required. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  return {
    port: Number(required(environment, "PORT")),
    databaseUrl: required(environment, "DATABASE_URL"),
    redisUrl: required(environment, "REDIS_URL"),
    jwtSecret: required(environment, "JWT_SECRET"),
    postgresConnections: Number(required(environment, "PG_POOL")),
    store: storeKind(required(environment, "STORE")),
    jobConcurrency: Number(required(environment, "JOB_CONCURRENCY")),
  };
}

function storeKind(value: string): StoreKind {
  if (value === "transaction" || value === "single-statement") return value;
  throw new Error("STORE must be transaction or single-statement.");
}

function required(environment: NodeJS.ProcessEnv, name: string): string {
  const value = environment[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set.`);
  return value;
}
