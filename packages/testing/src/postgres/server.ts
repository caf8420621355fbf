import { randomBytes } from "node:crypto";
import { chownSync, cpSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cleanEnvironment } from "../clean-environment.ts";
import { executableName } from "../executables.ts";
import { freePort } from "../free-port.ts";
import { SupervisedProcess, type ChildCommand } from "../supervisor/index.ts";
import { unprivilegedUser, type UserIds } from "../unprivileged-user.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./binaries.ts";

/** How {@link startPostgres} starts the server. */
export interface PostgresOptions {
  /**
   * Whether commits reach the disk; default true. False is for tests that never take the power
   * away: it is faster, and killed processes lose nothing either way.
   */
  readonly fsync?: boolean;
  /** Default: {@link findPostgresBinaries}. */
  readonly binaries?: PostgresBinaries;
  /**
   * Server settings by name, for example `{ shared_buffers: "512MB" }`. They replace the small ones
   * for tests, but neither the address and port nor what `fsync` decides.
   */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A temporary PostgreSQL of this test process. Use one method at a time. */
export interface PostgresServer extends AsyncDisposable {
  /** Connection URL of the superuser to the database `postgres`. */
  readonly url: string;
  /** Loopback port; stays the same over restarts. */
  readonly port: number;
  readonly dataDir: string;
  /** File with everything that the server logged; removed by `stop`. */
  readonly logFile: string;
  /** Process id of the postmaster, or undefined while the server is stopped. */
  pid(): number | undefined;
  /** Connection URL of the superuser to `database`. */
  connectionUrl(database: string): string;
  /** Immediate shutdown (SIGQUIT): every connection breaks, the next start recovers from the log. */
  stopServer(): Promise<void>;
  /** Starts the server again, on the same port and data. */
  startServer(): Promise<void>;
  /** `stopServer`, then `startServer`. */
  restart(): Promise<void>;
  /** SIGKILL to the postmaster; resolves when its backends, which notice and exit, are gone too. */
  kill9(): Promise<void>;
  /** Ends the server for good and removes its files. A second call does nothing. */
  stop(): Promise<void>;
}

const user = "apiforge";
const readyText = "database system is ready to accept connections";
const portAttempts = 5;

/**
 * Starts a PostgreSQL of its own: new data directory, loopback only, free port, random password.
 * It dies with this process, also by SIGKILL. As root, it runs as `postgres` or `nobody`.
 * @throws Error that says what to install when there are no binaries, or with the server's log when
 * it does not start.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const owner = unprivilegedUser();
  const found = options.binaries ?? findPostgresBinaries();
  const supervised = await SupervisedProcess.launch({
    name: "apiforge-postgres",
    user: owner,
    stopSignal: "SIGQUIT",
  });
  try {
    const binaries = reachableBinaries(found, owner, supervised.directory);
    const password = await createCluster(supervised, binaries, owner);
    const { fsync = true, settings = {} } = options;
    return await startOnFreePort({ supervised, binaries, password, fsync, settings });
  } catch (error) {
    await supervised.close();
    throw error;
  }
}

interface Cluster {
  readonly supervised: SupervisedProcess;
  readonly binaries: string;
  readonly password: string;
  readonly fsync: boolean;
  readonly settings: Readonly<Record<string, string>>;
}

function dataDirectory(supervised: SupervisedProcess): string {
  return join(supervised.directory, "data");
}

/**
 * The directory of the programs, as the server's user can execute them: a check-out under root's home
 * is closed to that user, so the npm package is then copied into the server's directory.
 */
function reachableBinaries(
  found: PostgresBinaries,
  owner: UserIds | undefined,
  directory: string,
): string {
  if (owner === undefined || found.source === "system" || isOpenToOthers(found.directory)) {
    return found.directory;
  }
  const copy = join(directory, "native");
  cpSync(dirname(found.directory), copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, "bin");
}

function isOpenToOthers(directory: string): boolean {
  if ((statSync(directory).mode & 0o001) === 0) return false;
  const parent = dirname(directory);
  return parent === directory || isOpenToOthers(parent);
}

/** Runs initdb and returns the superuser's password. */
async function createCluster(
  supervised: SupervisedProcess,
  binaries: string,
  owner: UserIds | undefined,
): Promise<string> {
  const password = randomBytes(16).toString("hex");
  const passwordFile = join(supervised.directory, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
  await supervised.run({
    command: join(binaries, executableName("initdb")),
    args: [
      `--pgdata=${dataDirectory(supervised)}`,
      `--username=${user}`,
      `--pwfile=${passwordFile}`,
      // In clear text over loopback: keeps other users of the machine out at no cost per connection.
      "--auth=password",
      // Byte order, as SQLite has it, and the same on every machine.
      "--encoding=UTF8",
      "--no-locale",
      "--no-sync",
    ],
    env: cleanEnvironment(),
  });
  return password;
}

function serverCommand(cluster: Cluster, port: number): ChildCommand {
  const { supervised, binaries, fsync } = cluster;
  const settings: Record<string, string> = {
    max_connections: "200",
    shared_buffers: "32MB",
    timezone: "UTC",
    ...cluster.settings,
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: supervised.directory,
    fsync: fsync ? "on" : "off",
    full_page_writes: fsync ? "on" : "off",
  };
  return {
    command: join(binaries, executableName("postgres")),
    args: [
      "-D",
      dataDirectory(supervised),
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    env: cleanEnvironment(),
  };
}

async function startOnFreePort(cluster: Cluster): Promise<PostgresServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      const pid = await cluster.supervised.start(serverCommand(cluster, port), readyText);
      return serverHandle(cluster, port, pid);
    } catch (error) {
      const taken = error instanceof Error && error.message.includes("Address already in use");
      if (!taken || attempt === portAttempts) throw error;
    }
  }
}

function serverHandle(cluster: Cluster, port: number, firstPid: number): PostgresServer {
  const { supervised, password } = cluster;
  let pid: number | undefined = firstPid;
  async function end(signal: NodeJS.Signals): Promise<void> {
    await supervised.end(signal);
    pid = undefined;
  }
  async function startServer(): Promise<void> {
    pid = await supervised.start(serverCommand(cluster, port), readyText);
  }
  async function stop(): Promise<void> {
    await supervised.close();
    pid = undefined;
  }
  function connectionUrl(database: string): string {
    return `postgres://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  }
  return {
    url: connectionUrl("postgres"),
    port,
    dataDir: dataDirectory(supervised),
    logFile: supervised.logFile,
    pid: () => pid,
    connectionUrl,
    stopServer: () => end("SIGQUIT"),
    startServer,
    async restart() {
      await end("SIGQUIT");
      await startServer();
    },
    kill9: () => end("SIGKILL"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
