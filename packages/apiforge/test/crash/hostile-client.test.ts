import {
  createDeployment,
  createHttpClient,
  eventually,
  storeNames,
  type Deployment,
  type HttpClient,
  type RawConnection,
  type ReadyServer,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { checkEnvelope, postHead } from "./raw-http.ts";

const idleConnections = 1_000;
const storm = 500;

describe.for(storeNames)("%s", (store) => {
  let deployment: Deployment;
  let server: ReadyServer;
  let client: HttpClient;
  let token: string;

  beforeAll(async () => {
    deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
    token = await deployment.token({ sub: "usr_hostile" });
    server = await deployment.start();
    client = createHttpClient(server.url);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
    await deployment[Symbol.asyncDispose]();
  });

  async function storedRows(): Promise<Record<string, unknown>> {
    const [row = {}] = await deployment.inspect((raw) =>
      raw.all(`select (select count(*) from projects) as projects,
        (select count(*) from forge_idempotency) as answers,
        (select count(*) from forge_jobs) as jobs, (select count(*) from forge_events) as events`),
    );
    return row;
  }

  async function createProject(key: string): Promise<number> {
    const { status } = await client.request({
      method: "POST",
      path: "/api/projects",
      token,
      headers: { "idempotency-key": key },
      body: { name: key },
    });
    return status;
  }

  async function projectsNamed(prefix: string): Promise<number> {
    return deployment.inspect(async (raw) => {
      const rows = await raw.all("select name from projects where name like $1", [`${prefix}%`]);
      return rows.length;
    });
  }

  test(`${idleConnections} idle connections hold nobody up`, async () => {
    const opened: RawConnection[] = [];
    for (let index = 0; index < idleConnections; index += 1) opened.push(await client.connect());
    for (let index = 0; index < 20; index += 1) {
      expect(await createProject(`idle-${index}`)).toBe(201);
    }
    for (const connection of opened) connection.reset();
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
  });

  test("an upload that is broken off leaves nothing, and its key is free", async () => {
    const before = await storedRows();
    const keys = Array.from({ length: 50 }, (_, index) => `broken-off-${index}`);
    for (const [index, key] of keys.entries()) {
      const body = { name: key, description: "x".repeat(5_000) };
      const headers = { "idempotency-key": key };
      await client.abortMidBody(
        { method: "POST", path: "/api/projects", token, headers, body },
        index * 100,
      );
    }
    expect(await storedRows()).toEqual(before);
    for (const key of keys) expect(await createProject(key)).toBe(201);
    expect(await projectsNamed("broken-off-")).toBe(keys.length);
  });

  test("pipelined requests are answered in their order, each once", async () => {
    const connection = await client.connect();
    const bodies = Array.from({ length: 10 }, (_, index) =>
      JSON.stringify({ name: `pipelined ${index}` }),
    );
    const requests = bodies.map(
      (body, index) => `${postHead(token, `pipelined-${index}`, body.length)}${body}`,
    );
    await connection.write(requests.join(""));
    await eventually("all are answered", () => answeredNames(connection).length === bodies.length);
    expect(answeredNames(connection)).toEqual(bodies.map((_, index) => `pipelined ${index}`));
    connection.reset();
    expect(await projectsNamed("pipelined ")).toBe(bodies.length);
  });

  test("an oversized header section is answered with 431 and the envelope", async () => {
    const answer = await client.raw(
      `GET /api/projects HTTP/1.1\r\nHost: localhost\r\nX-Big: ${"x".repeat(20_000)}\r\n\r\n`,
    );
    checkEnvelope(answer, 431, "headers_too_large");
  });

  test("bytes that are no HTTP are answered with 400 and the envelope", async () => {
    checkEnvelope(await client.raw("\u0016\u0003\u0001 hello\r\n\r\n"), 400, "malformed_request");
  });

  test("a storm of requests that nothing answers leaves nothing", async () => {
    const before = await storedRows();
    const statuses = new Set<number>();
    for (let index = 0; index < storm; index += 50) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, offset) => {
          const path = `/no/such/${index + offset}`;
          const headers = { "idempotency-key": `storm-${index + offset}` };
          return client.request({ method: "POST", path, token, headers, body: { name: "storm" } });
        }),
      );
      for (const { status } of answers) statuses.add(status);
    }
    expect(statuses).toEqual(new Set([404]));
    expect(await storedRows()).toEqual(before);
  });
});

function answeredNames(connection: RawConnection): string[] {
  return [...connection.received().matchAll(/"name":"([^"]+)"/g)].map(([, name = ""]) => name);
}
