import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import {
  createDatabase,
  createHttpClient,
  openRaw,
  spawnProcess,
  spawnServer,
} from "../src/index.ts";
import { parsePausePoint } from "../src/crash/crash-point.ts";
import { postgresUrl } from "../src/postgres-url.ts";
import { eventually, isAlive } from "./eventually.ts";

const directory = mkdtempSync(join(tmpdir(), "apiforge-crash-kit-"));
const entry = fileURLToPath(new URL("./fixtures/count-server.ts", import.meta.url));

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function countFile(name: string): string {
  return join(directory, `${name}.sqlite`);
}

async function countedRows(file: string): Promise<unknown> {
  await using raw = await openRaw(file);
  expect(await raw.integrityCheck()).toEqual([]);
  const [row] = await raw.all("select count(*) as rows from hits where id >= $1", [1]);
  return row?.["rows"];
}

describe("spawnServer", () => {
  test("waits until the server serves and stops it", async () => {
    const env = { COUNT_FILE: countFile("stop") };
    await using server = await spawnServer({ entry, env });
    await using client = createHttpClient(server.url);
    expect(await client.request({ method: "POST", path: "/" })).toMatchObject({ status: 200 });
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    expect(await countedRows(env.COUNT_FILE)).toBe(1);
  });

  test("fails when the server does not exit with 0 after SIGTERM", async () => {
    const env = { COUNT_FILE: countFile("exit"), EXIT_CODE: "3" };
    await using server = await spawnServer({ entry, env });
    await expect(server.stop()).rejects.toThrow("ended with exit code 3 after SIGTERM");
  });

  test("knows all that a server has written when it has stopped, also what came after its exit", async () => {
    const late = `setTimeout(() => console.log("late"), 300)`;
    const program = `process.on("SIGTERM", () => {
      require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(late)}], { stdio: "inherit" });
      process.exit(0);
    });
    setInterval(() => undefined, 1_000);
    console.log("up");`;
    await using server = spawnProcess({ entry: `--eval=${program}` });
    await server.waitForLine(/^up$/);
    await server.stop();
    expect(server.stdout()).toBe("up\nlate");
  });

  test("fails with the output of a server that does not come up", async () => {
    const env = { COUNT_FILE: join(directory, "no", "such", "directory") };
    await expect(spawnServer({ entry, env })).rejects.toThrow(/exit code 1[^]*unable to open/);
  });

  test("keeps the environment of the tests from the server", async () => {
    await using server = spawnProcess({
      entry: "--eval=console.log(process.env.VITEST, process.env.NODE_ENV)",
    });
    const [line] = await server.waitForLine(/^.+$/);
    expect(line).toBe("undefined undefined");
  });

  test("leaves no server behind when the test process is killed", async () => {
    const holder = spawnProcess({
      entry: fileURLToPath(new URL("./fixtures/start-and-wait.ts", import.meta.url)),
      args: ["server"],
    });
    const [, pid = ""] = await holder.waitForLine(/^started (\d+)$/);
    expect(isAlive(Number(pid))).toBe(true);
    await holder.kill9();
    await eventually("the server is gone", () => !isAlive(Number(pid)));
  });
});

describe("pauseAt", () => {
  test.for([
    { point: "before-commit", rows: 1 },
    { point: "after-commit", rows: 2 },
  ] as const)("kills the second request exactly $point", async ({ point, rows }) => {
    const env = { COUNT_FILE: countFile(point) };
    const server = await spawnServer({ entry, env, pauseAt: { point, nth: 2 } });
    await using client = createHttpClient(server.url);
    expect(await client.request({ method: "POST", path: "/" })).toMatchObject({ status: 200 });
    const second = client.request({ method: "POST", path: "/" }).catch((error: unknown) => error);
    await server.waitForPause();
    await server.kill9();
    expect(await second).toMatchObject({ code: "ECONNRESET" });
    expect(await countedRows(env.COUNT_FILE)).toBe(rows);
  });

  test("a wait for a pause that was not asked for fails at once", async () => {
    await using server = await spawnServer({ entry, env: { COUNT_FILE: ":memory:" } });
    await expect(server.waitForPause()).rejects.toThrow("without pauseAt");
  });

  test.for(["after-claim:0", "after-claim:x", ":2", "after-claim:1.5"])(
    "refuses the point %s",
    (text) => {
      expect(() => parsePausePoint(text)).toThrow("APIFORGE_CRASH_POINT");
    },
  );
});

describe("openRaw", () => {
  test("does not create a missing SQLite file", async () => {
    await expect(openRaw(countFile("missing"))).rejects.toThrow("unable to open database file");
  });

  test("reads PostgreSQL with the same SQL, counts as numbers, and finds what is left invalid", async () => {
    await using database = await createDatabase(postgresUrl());
    await using raw = await openRaw(database.url);
    await raw.all("create table hits (id int)");
    await raw.all("insert into hits values ($1), ($2)", [1, 1]);
    expect(await raw.all("select count(*) as rows from hits where id >= $1", [1])).toEqual([
      { rows: 2 },
    ]);
    expect(await raw.integrityCheck()).toEqual([]);
    await raw.all("create unique index concurrently broken on hits (id)").catch(() => undefined);
    expect(await raw.integrityCheck()).toEqual(["index broken is invalid"]);
  });

  test("sees one instant in a snapshot, and what came later after it", async () => {
    await using database = await createDatabase(postgresUrl());
    await using raw = await openRaw(database.url);
    await using other = await openRaw(database.url);
    await other.all("create table hits (id int)");
    const rows = () => raw.all("select id from hits");
    const inside = await raw.snapshot(async () => {
      const before = await rows();
      await other.all("insert into hits values (1)");
      return [before, await rows()];
    });
    expect(inside).toEqual([[], []]);
    expect(await rows()).toEqual([{ id: 1 }]);
  });
});
