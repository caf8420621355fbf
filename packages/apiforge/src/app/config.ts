import { isIP, isIPv6 } from "node:net";

import { appError } from "./errors.ts";

/** Levels of the log, from most to least talkative. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Which answers the access log has a line for; `errors` are those of status 4xx and 5xx. */
export const accessLogs = ["off", "errors", "all"] as const;
export type AccessLog = (typeof accessLogs)[number];

/** Which API keys a deployment takes. */
export const keyModeSettings = ["any", "live", "test"] as const;
export type KeyModeSetting = (typeof keyModeSettings)[number];

/** What an operator decides. Every setting is one environment variable; see docs/reference/configuration.md. */
export interface Config {
  /** `HOST`: address to listen on. */
  readonly host: string;
  /** `PORT`: 0 lets the system choose. */
  readonly port: number;
  /** `APIFORGE_PROCESSES`: processes that serve the address together; see `runForge`. */
  readonly processes: number;
  /** `APIFORGE_DATA_DIR`: folder of the embedded database and of generated keys. */
  readonly dataDir: string;
  /** `DATABASE_URL`: a `postgres://` URL switches the store; absent, SQLite in `dataDir` is used. */
  readonly databaseUrl: string | undefined;
  /** `REDIS_URL`: takes load off PostgreSQL where several nodes count limits together; not used with SQLite. */
  readonly redisUrl: string | undefined;
  /** `APIFORGE_DATABASE_POOL`: connections to PostgreSQL. */
  readonly databasePool: number;
  /** `APIFORGE_TRANSACTION_LIMIT_MS`: longest transaction before it is cut off. */
  readonly transactionLimitMs: number;
  /** `APIFORGE_JWKS_URL`: keys of the issuer whose tokens are accepted; absent, the development issuer is on. */
  readonly jwksUrl: string | undefined;
  /** `APIFORGE_JWT_ISSUER`: required `iss` of tokens. */
  readonly jwtIssuer: string;
  /** `APIFORGE_JWT_AUDIENCE`: required `aud` of tokens. */
  readonly jwtAudience: string;
  /** `APIFORGE_SECRET`: signs cursors, digests API keys; nodes of one deployment share it. Absent, one is generated in `dataDir`. */
  readonly secret: string | undefined;
  /** `APIFORGE_KEY_MODE`: which API keys are good here: `live`, `test`, or `any` of both. */
  readonly keyMode: KeyModeSetting;
  /** `APIFORGE_JOB_CONCURRENCY`: attempts per queue that run at once in this process; 0 runs no jobs, consumers and schedules here. */
  readonly jobConcurrency: number;
  /** `APIFORGE_JOB_TOTAL_CONCURRENCY`: attempts of all queues that run at once in this process; absent, only each queue's own limit. */
  readonly jobTotalConcurrency: number | undefined;
  /** `APIFORGE_CONNECTIONS_PER_ADDRESS`: connections that one address may have open at a time. */
  readonly maxConnectionsPerAddress: number;
  /** `APIFORGE_TLS_KEY_FILE`: private key in PEM; with it the server speaks TLS. */
  readonly tlsKeyFile: string | undefined;
  /** `APIFORGE_TLS_CERT_FILE`: its certificate and those that lead to an authority, in PEM. */
  readonly tlsCertFile: string | undefined;
  /** `APIFORGE_CLIENT_CA_FILE`: authorities of client certificates in PEM; absent, nobody is asked for one. */
  readonly clientCaFile: string | undefined;
  /** `APIFORGE_CLIENT_CRL_FILE`: their revocation lists in PEM. */
  readonly clientCrlFile: string | undefined;
  /** `APIFORGE_TRUSTED_PROXIES`: networks of the proxies whose `Client-Cert` is believed, with commas between. */
  readonly trustedProxies: readonly string[];
  /** `APIFORGE_LOG_LEVEL`. */
  readonly logLevel: LogLevel;
  /** `APIFORGE_ACCESS_LOG`: which answers get a line in the log. */
  readonly accessLog: AccessLog;
  /** `APIFORGE_SERVER_TIMING`: answers to known callers say how long each stage took. */
  readonly serverTiming: boolean;
  /** `APIFORGE_METRICS_TOKEN`: bearer token that `/metrics` asks for; absent, only this machine may read it. */
  readonly metricsToken: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const settings = {
  host: { name: "HOST", parse: text, default: "127.0.0.1" },
  port: { name: "PORT", parse: integer(0, 65_535), default: 4000 },
  processes: { name: "APIFORGE_PROCESSES", parse: integer(1, 256), default: 1 },
  dataDir: { name: "APIFORGE_DATA_DIR", parse: text, default: "./data" },
  databaseUrl: { name: "DATABASE_URL", parse: url("postgres:", "postgresql:"), default: undefined },
  redisUrl: { name: "REDIS_URL", parse: url("redis:", "rediss:"), default: undefined },
  databasePool: { name: "APIFORGE_DATABASE_POOL", parse: integer(2, 200), default: 10 },
  transactionLimitMs: {
    name: "APIFORGE_TRANSACTION_LIMIT_MS",
    parse: integer(50, 60_000),
    default: 1_500,
  },
  jwksUrl: { name: "APIFORGE_JWKS_URL", parse: keyUrl, default: undefined },
  jwtIssuer: { name: "APIFORGE_JWT_ISSUER", parse: text, default: "https://dev.apiforge.local" },
  jwtAudience: { name: "APIFORGE_JWT_AUDIENCE", parse: text, default: "apiforge" },
  secret: { name: "APIFORGE_SECRET", parse: secretText, default: undefined },
  keyMode: { name: "APIFORGE_KEY_MODE", parse: oneOf(keyModeSettings), default: "any" },
  jobConcurrency: { name: "APIFORGE_JOB_CONCURRENCY", parse: integer(0, 10_000), default: 20 },
  jobTotalConcurrency: {
    name: "APIFORGE_JOB_TOTAL_CONCURRENCY",
    parse: integer(1, 100_000),
    default: undefined,
  },
  maxConnectionsPerAddress: {
    name: "APIFORGE_CONNECTIONS_PER_ADDRESS",
    parse: integer(1, 1_000_000),
    default: 10_000,
  },
  tlsKeyFile: { name: "APIFORGE_TLS_KEY_FILE", parse: text, default: undefined },
  tlsCertFile: { name: "APIFORGE_TLS_CERT_FILE", parse: text, default: undefined },
  clientCaFile: { name: "APIFORGE_CLIENT_CA_FILE", parse: text, default: undefined },
  clientCrlFile: { name: "APIFORGE_CLIENT_CRL_FILE", parse: text, default: undefined },
  trustedProxies: { name: "APIFORGE_TRUSTED_PROXIES", parse: networks, default: [] },
  logLevel: { name: "APIFORGE_LOG_LEVEL", parse: oneOf(logLevels), default: "info" },
  accessLog: { name: "APIFORGE_ACCESS_LOG", parse: oneOf(accessLogs), default: "off" },
  serverTiming: { name: "APIFORGE_SERVER_TIMING", parse: flag, default: false },
  metricsToken: { name: "APIFORGE_METRICS_TOKEN", parse: secretText, default: undefined },
} as const satisfies {
  readonly [K in keyof Config]: {
    readonly name: string;
    readonly parse: (value: string) => Config[K] | Problem;
    readonly default: Config[K];
  };
};

/** Why a value cannot be used: what was expected instead. */
class Problem {
  readonly expected: string;

  constructor(expected: string) {
    this.expected = expected;
  }
}

/** A variable that cannot be used. */
export interface SettingProblem {
  readonly name: string;
  /** What it must be. */
  readonly expected: string;
}

/** What environment variables say, and those that cannot be used, which are read as absent. */
export interface ReadSettings {
  readonly config: Config;
  readonly problems: readonly SettingProblem[];
}

/** Reads all settings from environment variables; empty ones count as absent. */
export function readSettings(environment: Environment = process.env): ReadSettings {
  const problems: SettingProblem[] = [];
  const entries = Object.entries(settings).map(([key, setting]) => {
    const given = environment[setting.name];
    if (given === undefined || given === "") return [key, setting.default];
    const parsed = setting.parse(given);
    if (!(parsed instanceof Problem)) return [key, parsed];
    problems.push({ name: setting.name, expected: parsed.expected });
    return [key, setting.default];
  });
  // Built key by key from `settings`, whose type mirrors Config.
  return { config: Object.freeze(Object.fromEntries(entries)) as Config, problems };
}

/**
 * Reads the configuration from environment variables; empty ones count as absent.
 * @throws {config_invalid} naming every variable that cannot be used, and what is expected of it.
 */
export function readConfig(environment: Environment = process.env): Config {
  const { config, problems } = readSettings(environment);
  if (problems.length === 0) return config;
  const texts = problems.map(({ name, expected }) => `${name} must be ${expected}`);
  throw appError("config_invalid", `${texts.join("; ")}.`);
}

/** Names of the environment variables that {@link readConfig} reads, with their defaults. */
export function settingNames(): readonly { readonly name: string; readonly default: string }[] {
  return Object.values(settings).map((setting) => ({
    name: setting.name,
    default: String(setting.default ?? ""),
  }));
}

/** The environment variable of a setting. */
export function settingName(setting: keyof Config): string {
  return settings[setting].name;
}

function networks(value: string): readonly string[] | Problem {
  const list = value.split(",").map((network) => network.trim());
  const isNetwork = (text: string): boolean => {
    const [address = "", prefix = "0", ...rest] = text.split("/");
    const bits = isIPv6(address) ? 128 : 32;
    const isLength = /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
    return isIP(address) !== 0 && isLength && rest.length === 0;
  };
  return list.every(isNetwork)
    ? list
    : new Problem("networks such as 10.0.0.0/8, with commas between");
}

function text(value: string): string {
  return value;
}

function flag(value: string): boolean | Problem {
  return value === "true" || value === "false" ? value === "true" : new Problem("true or false");
}

function secretText(value: string): string | Problem {
  return value.length >= 32 ? value : new Problem("at least 32 characters long");
}

function integer(min: number, max: number): (value: string) => number | Problem {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    return number >= min && number <= max
      ? number
      : new Problem(`a whole number from ${min} to ${max}`);
  };
}

// The value itself is never repeated: URLs of databases carry passwords.
function url(...protocols: readonly string[]): (value: string) => string | Problem {
  return (value) =>
    URL.canParse(value) && protocols.includes(new URL(value).protocol)
      ? value
      : new Problem(
          `a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
        );
}

function keyUrl(value: string): string | Problem {
  const isLocal = /^http:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?\//.test(value);
  return isLocal ? value : url("https:")(value);
}

function oneOf<Word extends string>(words: readonly Word[]): (value: string) => Word | Problem {
  return (value) =>
    words.find((word) => word === value) ?? new Problem(`one of ${words.join(", ")}`);
}
