import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  createDatabase,
  findPostgresBinaries,
  npmPostgres,
  spawnProcess,
  startPostgres,
  systemPostgres,
  testPostgres,
  type PostgresBinaries,
} from "../src/index.ts";
import { postgresUrl } from "../src/postgres-url.ts";
import { eventually, isAlive } from "./eventually.ts";

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: "array" });
    return rows.flat();
  } finally {
    await client.end();
  }
}

// Every source that this machine has; there is always one, or the run's own PostgreSQL had failed.
const sources = [systemPostgres(), npmPostgres()].filter((found) => found !== undefined);

describe("startPostgres", () => {
  test.for(sources)("starts the $source binaries and leaves nothing behind", async (binaries) => {
    const server = await startPostgres({ fsync: false, binaries });
    const pid = server.pid() ?? 0;
    expect(isAlive(pid)).toBe(true);
    expect(await ask(server.url, "select current_setting('listen_addresses')")).toEqual([
      "127.0.0.1",
    ]);
    expect(await ask(server.connectionUrl("template1"), "select current_database()")).toEqual([
      "template1",
    ]);
    await server.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(server.dataDir)).toBe(false);
    await server.stop();
  });

  test("takes server settings, but not where it listens or whether it syncs", async () => {
    await using server = await startPostgres({
      settings: { shared_buffers: "16MB", port: "1", listen_addresses: "*", fsync: "off" },
    });
    expect(await ask(server.url, "show shared_buffers")).toEqual(["16MB"]);
    expect(await ask(server.url, "show listen_addresses")).toEqual(["127.0.0.1"]);
    expect(await ask(server.url, "show fsync")).toEqual(["on"]);
  });

  test("keeps fsync on unless told otherwise, and committed rows over a restart and kill -9", async () => {
    await using server = await startPostgres();
    expect(await ask(server.url, "show fsync")).toEqual(["on"]);
    await ask(server.url, "create table kept (id int)");
    await ask(server.url, "insert into kept values (1)");
    await server.restart();
    await ask(server.url, "insert into kept values (2)");
    await server.kill9();
    expect(server.pid()).toBeUndefined();
    await expect(ask(server.url, "select 1")).rejects.toThrow("ECONNREFUSED");
    await server.startServer();
    expect(await ask(server.url, "select id from kept order by id")).toEqual([1, 2]);
  });

  test("asks for the password", async () => {
    const stranger = new URL(postgresUrl());
    stranger.password = "wrong";
    await expect(ask(stranger.href, "select 1")).rejects.toThrow("password authentication failed");
  });

  test("shows what the server said when it does not start", async () => {
    await using server = await startPostgres({ fsync: false });
    await server.stopServer();
    const squatter = createServer().listen(server.port, "127.0.0.1");
    await once(squatter, "listening");
    await expect(server.startServer()).rejects.toThrow("Address already in use");
    squatter.close();
  });

  test("dies with a test process that is killed", async () => {
    const holder = spawnProcess({
      entry: fileURLToPath(new URL("./fixtures/start-and-wait.ts", import.meta.url)),
      args: ["postgres"],
    });
    const [, pid = "", dataDir = ""] = await holder.waitForLine(/^started (\d+) in (.+)$/);
    expect(isAlive(Number(pid))).toBe(true);
    await holder.kill9();
    await eventually("PostgreSQL is gone", () => !isAlive(Number(pid)));
    await eventually("its directory is gone", () => !existsSync(join(dataDir, "..")));
  });
});

describe("findPostgresBinaries", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test("prefers the machine's own", () => {
    const expected: PostgresBinaries | undefined = systemPostgres() ?? npmPostgres();
    expect(findPostgresBinaries()).toEqual(expected);
  });

  test("does not take a PATH without the programs for one", () => {
    vi.stubEnv("PATH", import.meta.dirname);
    expect(systemPostgres()?.directory).not.toBe(import.meta.dirname);
  });
});

describe("testPostgres", () => {
  test("uses the server of APIFORGE_TEST_PG_URL", async () => {
    vi.stubEnv("APIFORGE_TEST_PG_URL", postgresUrl());
    const { url, stop } = await testPostgres();
    await stop();
    expect(await ask(url, "select 1")).toEqual([1]);
  });

  test("fails clearly when that server cannot be reached, without its password", async () => {
    const url = new URL(postgresUrl());
    const { password } = url;
    url.port = "1";
    vi.stubEnv("APIFORGE_TEST_PG_URL", url.href);
    const failure = await testPostgres().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(String(failure)).toMatch(/APIFORGE_TEST_PG_URL is set.*ECONNREFUSED/);
    expect(String(failure)).not.toContain(password);
  });

  test("fails clearly when its user may not create databases", async () => {
    await using database = await createDatabase(postgresUrl());
    await ask(database.url, `create role ${database.name} login password 'x'`);
    const url = new URL(database.url);
    url.username = database.name;
    url.password = "x";
    vi.stubEnv("APIFORGE_TEST_PG_URL", url.href);
    await expect(testPostgres()).rejects.toThrow("may not create databases");
    await ask(database.url, `drop role ${database.name}`);
  });
});

describe("createDatabase", () => {
  test("makes an empty database and drops it under an open connection", async () => {
    const database = await createDatabase(postgresUrl());
    expect(
      await ask(
        database.url,
        "select count(*)::int from information_schema.tables where table_schema = 'public'",
      ),
    ).toEqual([0]);
    const open = new Client({ connectionString: database.url });
    open.on("error", () => undefined);
    await open.connect();
    await database.drop();
    await expect(ask(database.url, "select 1")).rejects.toThrow("does not exist");
    await open.end();
  });

  test("names the connections that code under test has left open", async () => {
    await using database = await createDatabase(postgresUrl());
    const leak = new Client({ connectionString: database.url, application_name: "leaky" });
    await leak.connect();
    await leak.query("select 'left open'");
    await expect(database.assertNoConnections()).rejects.toThrow(/leaky, idle: select 'left open'/);
    await leak.end();
    await database.assertNoConnections();
  });
});
