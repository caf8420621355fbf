import { cleanEnvironment } from "./clean-environment.ts";
import { freePort } from "./free-port.ts";
import { SupervisedProcess } from "./supervisor/index.ts";
import { bringProgram, findProgram } from "./system-package.ts";
import { unprivilegedUser } from "./unprivileged-user.ts";

/** How {@link startRedis} starts the server. */
export interface RedisOptions {
  /**
   * When the append-only file reaches the disk: before each answer, or once a second.
   * https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
   */
  readonly appendfsync: "always" | "everysec";
}

/** A temporary Redis of this test process. */
export interface RedisServer extends AsyncDisposable {
  /** `redis://127.0.0.1:<port>`, without a password. */
  readonly url: string;
  readonly port: number;
  /** Kills the server; its files stay. */
  kill(): Promise<void>;
  /** Starts it again on the same port and files. */
  restart(): Promise<void>;
  /** Ends the server and removes its files. A second call does nothing. */
  stop(): Promise<void>;
}

const readyText = "Ready to accept connections";

/**
 * Starts a Redis of its own with an append-only file in a temporary directory, on a free loopback
 * port. It dies with this process, also by SIGKILL. Where there is no `redis-server` and this
 * process is root on Debian or Ubuntu, their package is installed first.
 * @throws Error that says what to install, or with the server's log when it does not start.
 */
export async function startRedis({ appendfsync }: RedisOptions): Promise<RedisServer> {
  const command = bringRedis();
  const supervised = await SupervisedProcess.launch({
    name: "apiforge-redis",
    user: unprivilegedUser(),
    stopSignal: "SIGKILL",
  });
  const port = await freePort();
  const start = async (): Promise<void> => {
    await supervised.start(
      {
        command,
        args: Object.entries({
          bind: "127.0.0.1",
          port: String(port),
          dir: supervised.directory,
          appendonly: "yes",
          appendfsync,
          // No snapshots beside the append-only file.
          save: "",
        }).flatMap(([name, value]) => [`--${name}`, value]),
        env: cleanEnvironment(),
      },
      readyText,
    );
  };
  try {
    await start();
  } catch (error) {
    await supervised.close();
    throw error;
  }
  const stop = (): Promise<void> => supervised.close();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill: () => supervised.end("SIGKILL"),
    restart: start,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * Path of `redis-server`; where it is not on `PATH` and this process is root on Debian, the package is installed first.
 * @throws Error that says what to install.
 */
export function bringRedis(): string {
  const found = bringProgram("redis-server", () => findProgram("redis-server"));
  if (found !== undefined) return found;
  throw new Error(
    "Redis is needed and `redis-server` is not on PATH. Install it: apt-get install redis-server, " +
      "brew install redis, or your system's package.",
  );
}
