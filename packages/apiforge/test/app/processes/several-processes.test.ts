import { randomUUID } from "node:crypto";
import { connect } from "node:net";

import { createHttpClient, eventually, startRedis, type HttpClient } from "@apiforge/testing";
import { Pool } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";

import { clientOfEach, isAlive, startSeveral } from "./several-processes.ts";

const timeout = 120_000;
const limit = 64;
const lanes = 16;

describe("a limit of two processes on one port", { timeout }, () => {
  test("is passed by neither, and reached by both", async () => {
    const { statuses, admittedBy, pids } = await spend({});
    expect(statuses.filter((status) => status === 200)).toHaveLength(limit);
    expect(statuses.filter((status) => status === 429)).toHaveLength(statuses.length - limit);
    expect(admittedBy).toEqual(new Set(pids));
  });

  test("nor is it passed with Redis between them, where what comes too late counts as used", async () => {
    await using redis = await startRedis({ appendfsync: "everysec" });
    const { statuses, admittedBy, pids } = await spend({ REDIS_URL: redis.url });
    const admitted = statuses.filter((status) => status === 200).length;
    expect(admitted).toBeLessThanOrEqual(limit);
    expect(statuses.filter((status) => status === 429)).toHaveLength(statuses.length - admitted);
    expect(admittedBy).toEqual(new Set(pids));
  });
});

/** Sends four times what the limit is, the first two requests one to each process. */
async function spend(env: Readonly<Record<string, string>>) {
  const { server, pids } = await startSeveral({ LIMIT: String(limit), ...env });
  const clients = await clientOfEach(server.url, pids());
  const statuses: number[] = [];
  const admittedBy = new Set<number>();
  async function ask(client: HttpClient): Promise<void> {
    const answer = await client.request({ path: "/limited" });
    statuses.push(answer.status);
    if (answer.status === 200) admittedBy.add((answer.json() as { pid: number }).pid);
  }
  async function lane(client: HttpClient): Promise<void> {
    while (statuses.length < 4 * limit - lanes) await ask(client);
  }
  for (const client of clients) await ask(client);
  await Promise.all(
    clients.flatMap((client) => Array.from({ length: lanes / 2 }, () => lane(client))),
  );
  while (statuses.length < 4 * limit) for (const client of clients) await ask(client);
  await server.stop();
  return { statuses, admittedBy, pids: pids() };
}

describe("a rolling restart", { timeout }, () => {
  test("under load loses no request and no write", async () => {
    const { deployment, server, pids, logged } = await startSeveral();
    const token = await deployment.token({ sub: "usr_1" });
    const pool = new Pool(server.url, { connections: lanes });
    onTestFinished(() => pool.destroy());
    const failures: string[] = [];
    const seen = new Set<number>();
    const written: string[] = [];
    let answered = 0;
    const over = new AbortController();
    async function lane(): Promise<void> {
      for (let turn = 0; !over.signal.aborted; turn += 1) {
        const id = randomUUID();
        const isWrite = turn % 4 === 0;
        try {
          const { statusCode, body } = await pool.request(
            isWrite
              ? {
                  method: "POST",
                  path: "/notes",
                  headers: {
                    authorization: `Bearer ${token}`,
                    "idempotency-key": id,
                    "content-type": "application/json",
                  },
                  body: JSON.stringify({ id }),
                }
              : { method: "GET", path: "/who" },
          );
          const text = await body.text();
          if (statusCode !== (isWrite ? 201 : 200)) failures.push(`${statusCode} ${text}`);
          else seen.add((JSON.parse(text) as { pid: number }).pid);
          if (isWrite) written.push(id);
        } catch (error) {
          failures.push(String(error));
        }
        answered += 1;
      }
    }
    const running = Promise.all(Array.from({ length: lanes }, lane));
    const more = async (): Promise<void> => {
      const wanted = answered + 500;
      await eventually("more answers", () => answered >= wanted);
    };
    await more();
    for (const round of [1, 2]) {
      process.kill(server.pid, "SIGHUP");
      const isOver = (): boolean => logged("all processes are replaced").length === round;
      await eventually("it is over", isOver, 60_000);
      await more();
    }
    over.abort();
    await running;
    expect(failures).toEqual([]);
    expect(pids()).toHaveLength(6);
    // That a new connection is taken by each of them is nobody's promise.
    expect(seen.size).toBeGreaterThanOrEqual(3);
    expect(pids().map(isAlive)).toEqual([false, false, false, false, true, true]);
    await server.stop();
    const ids = await deployment.inspect(async (raw) =>
      (await raw.all("select id from notes")).map(({ id }) => String(id)),
    );
    expect(ids.toSorted()).toEqual(written.toSorted());
  });

  test("to a version that does not start leaves those that serve, and goes through once it does", async () => {
    const { server, pids, logged, setBroken } = await startSeveral();
    setBroken(true);
    process.kill(server.pid, "SIGHUP");
    await eventually("it is said", () => {
      const said = logged("a new process did not come up; those that serve go on");
      return said[0]?.["ending"] === "exit code 1";
    });
    expect(pids().map(isAlive)).toEqual([true, true]);
    const client = createHttpClient(server.url);
    onTestFinished(() => client.close());
    expect((await client.request({ path: "/who" })).status).toBe(200);
    expect((await client.request({ path: "/metrics" })).body).toContain(
      'apiforge_rolling_restarts_total{outcome="failed"} 1',
    );
    setBroken(false);
    await client.close();
    process.kill(server.pid, "SIGHUP");
    await eventually("it is over", () => logged("all processes are replaced").length === 1, 60_000);
    expect(pids().map(isAlive)).toEqual([false, false, true, true]);
    await server.stop();
  });
});

describe("processes that end", { timeout }, () => {
  test("by SIGKILL are replaced, while the other one serves", async () => {
    const { server, pids, logged } = await startSeveral();
    const [killed = 0, other = 0] = pids();
    process.kill(killed, "SIGKILL");
    await eventually("it is replaced", () => pids().length === 3);
    expect(logged("a process ended; another one is started")).toMatchObject([
      { pid: killed, ending: "SIGKILL", inARow: 1 },
    ]);
    await clientOfEach(server.url, [other, pids()[2] ?? 0]);
    await server.stop();
    expect(pids().map(isAlive)).toEqual([false, false, false]);
  });

  test("while they stand still leave no connection without an end, not even one that was on its way to them", async () => {
    const { server, pids } = await startSeveral();
    const [still = 0, other = 0] = pids();
    const [client] = await clientOfEach(server.url, [still, other]);
    const never = client?.request({ path: "/stand-still" }).catch(() => "cut");
    await server.waitForLine(/^standing still$/);
    const ends = Array.from({ length: 4 }, () => askAlone(server.url));
    await eventually("the other one answers", () => ends.some(({ end }) => end === "answered"));
    process.kill(still, "SIGKILL");
    expect(await never).toBe("cut");
    await eventually("each has an end", () => ends.every(({ end }) => end !== "open"));
    await server.stop();
  });

  test("in order when their supervisor is killed: what is under way is answered, and none is left", async () => {
    const { deployment, server, pids } = await startSeveral();
    const token = await deployment.token({ sub: "usr_1" });
    const body = JSON.stringify({ id: "slow" });
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1").setEncoding("latin1");
    let text = "";
    socket.on("data", (piece: string) => (text += piece));
    socket.write(
      `POST /notes HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nIdempotency-Key: k\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    await eventually("the head has arrived", () => text.includes("100 Continue"));
    await server.kill9();
    // The one without a connection.
    await eventually("one has ended", () => pids().some((pid) => !isAlive(pid)));
    expect(pids().filter(isAlive)).toHaveLength(1);
    socket.write(body);
    await eventually("it is answered", () => text.includes("201 Created"));
    expect(text).toMatch(/connection: close/i);
    await eventually("all have ended", () => !pids().some(isAlive));
    socket.destroy();
  });
});

/** One request on a connection of its own, and what became of it. */
function askAlone(url: string): { end: "open" | "answered" | "cut" } {
  const state: ReturnType<typeof askAlone> = { end: "open" };
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.once("data", () => (state.end = "answered"));
  socket.once("close", () => {
    if (state.end === "open") state.end = "cut";
  });
  socket.write("GET /who HTTP/1.1\r\nHost: a\r\n\r\n");
  return state;
}

test("metrics are those of all processes, whoever is asked", { timeout }, async () => {
  const { server, pids } = await startSeveral();
  const [one = 0, other = 0] = pids();
  const clients = await clientOfEach(server.url, [one, other]);
  for (const client of clients) {
    await client.request({ path: "/who" });
    const { body } = await client.request({ path: "/metrics" });
    const answered = body.matchAll(/^apiforge_http_requests_total\{.*"\/who".*process="(\d)"/gm);
    expect([...answered].map(([, number]) => number)).toEqual(["1", "2"]);
    expect(body).toContain('apiforge_processes{state="serving"} 2');
    expect(body.match(/^apiforge_events_head /gm)).toHaveLength(1);
    expect(body.match(/^# TYPE process_cpu_seconds_total /gm)).toHaveLength(1);
  }
  await server.stop();
});
