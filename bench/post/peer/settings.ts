/** What the peer is told by its environment. */
export interface Settings {
  readonly port: number;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** HS256 secret of the access tokens. */
  readonly jwtSecret: string;
  readonly postgresConnections: number;
  readonly workers: boolean;
}

/** Reads PORT, DATABASE_URL, REDIS_URL, JWT_SECRET, PG_POOL (default 20) and WORKERS (`on` or `off`). */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  return {
    port: Number(required(environment, "PORT")),
    databaseUrl: required(environment, "DATABASE_URL"),
    redisUrl: required(environment, "REDIS_URL"),
    jwtSecret: required(environment, "JWT_SECRET"),
    postgresConnections: Number(environment.PG_POOL ?? 20),
    workers: environment.WORKERS !== "off",
  };
}

function required(environment: NodeJS.ProcessEnv, name: string): string {
  const value = environment[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set.`);
  return value;
}
