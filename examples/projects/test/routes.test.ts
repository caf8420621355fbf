import { storeNames } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { dataOf, projectsStage, type ProjectView } from "./stage.ts";

const projectId = /^proj_[0-9A-Za-z]{12,}$/;
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe.for(storeNames)("routes, %s", (store) => {
  const stage = projectsStage(store);

  function path(project: ProjectView, rest = ""): string {
    return `/api/projects/${project.id}${rest}`;
  }

  test("POST /api/projects commits the project, its event and its alert together", async () => {
    const before = await stage.storedRows();
    const response = await stage.send({
      method: "POST",
      path: "/api/projects",
      body: { name: "  Notification Service ", status: "planned", description: "Tells people" },
    });
    expect(response.status).toBe(201);
    expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(response.headers["x-request-id"]).toMatch(/^req_/);
    expect(response.headers["idempotent-replayed"]).toBeUndefined();
    expect(response.json()).toEqual({
      success: true,
      data: {
        id: expect.stringMatching(projectId),
        name: "Notification Service",
        status: "planned",
        description: "Tells people",
        createdBy: "usr_9f3k2m",
        createdAt: expect.stringMatching(instant),
        updatedAt: expect.stringMatching(instant),
      },
    });
    expect(await stage.storedRows()).toEqual({
      ...before,
      projects: (before["projects"] ?? 0) + 1,
      events: (before["events"] ?? 0) + 1,
      jobs: (before["jobs"] ?? 0) + 1,
    });
    const created = dataOf(response);
    await stage.deployment().inspect(async (raw) => {
      const [event] = await raw.all(
        "select seq, tenant, request_id, data from forge_events where type = 'project.created' order by seq desc limit 1",
      );
      expect(event).toMatchObject({
        seq: Number(response.headers["x-forge-seq"]),
        tenant: "ten_apiforge",
        request_id: response.headers["x-request-id"],
      });
      expect(JSON.parse(String(event?.["data"]))).toEqual({
        project: created,
        actor: "priya@apiforge.dev",
      });
      const [job] = await raw.all(
        "select type, tenant, max_attempts, request_id from forge_jobs order by n desc limit 1",
      );
      expect(job).toEqual({
        type: "slack-alert",
        tenant: "ten_apiforge",
        max_attempts: 3,
        request_id: response.headers["x-request-id"],
      });
    });
  });

  test("a project is active and without description unless it says otherwise", async () => {
    const created = await stage.create({ name: "Plain" });
    expect(created).toMatchObject({ status: "active", description: null });
    expect(created.updatedAt).toBe(created.createdAt);
  });

  test("text comes back as it was sent", async () => {
    const description =
      "Zeilen\n\u0001 \u{1F680} \u202e 'quotes\" \\ ; drop table projects; -- \\u0000";
    const name = "\u00e9\u{1F468}\u200d\u{1F469} <b>&amp;</b>";
    const created = await stage.create({ name, description });
    expect(created).toMatchObject({ name, description });
    expect(dataOf(await stage.send({ path: path(created) }))).toEqual(created);
  });

  test("GET /api/projects/:id answers what was created", async () => {
    const created = await stage.create({ name: "Readable" });
    const response = await stage.send({ path: path(created) });
    expect(response.status).toBe(200);
    expect(response.headers["x-forge-seq"]).toBeUndefined();
    expect(dataOf(response)).toEqual(created);
    const head = await stage.send({ method: "HEAD", path: path(created) });
    expect(head).toMatchObject({ status: 200, body: "" });
    expect(head.headers["content-length"]).toBe(response.headers["content-length"]);
  });

  test("PATCH /api/projects/:id changes what it names and tells", async () => {
    const created = await stage.create({ name: "Before", description: "kept" });
    const response = await stage.send({
      method: "PATCH",
      path: path(created),
      body: { name: "After", status: "paused" },
    });
    expect(response.status).toBe(200);
    const changed = dataOf(response);
    expect(changed).toEqual({
      ...created,
      name: "After",
      status: "paused",
      updatedAt: expect.stringMatching(instant),
    });
    expect(dataOf(await stage.send({ path: path(created) }))).toEqual(changed);
    expect(await eventsAbout(created)).toEqual(["project.created", "project.updated"]);

    const cleared = await stage.send({
      method: "PATCH",
      path: path(created),
      body: { description: null },
    });
    expect(dataOf(cleared)).toMatchObject({ name: "After", description: null });
  });

  test("DELETE /api/projects/:id takes the members along", async () => {
    const created = await stage.create({ name: "Short-lived" });
    const other = await stage.create({ name: "Stays" });
    for (const project of [created, other]) {
      const body = { email: "sam@apiforge.dev" };
      const added = await stage.send({ method: "POST", path: path(project, "/members"), body });
      expect(added.status).toBe(201);
    }
    const before = await stage.storedRows();
    const response = await stage.send({ method: "DELETE", path: path(created) });
    expect(response).toMatchObject({ status: 204, body: "" });
    expect(response.headers["content-type"]).toBeUndefined();
    expect(Number(response.headers["x-forge-seq"])).toBeGreaterThan(0);
    expect(await stage.storedRows()).toEqual({
      ...before,
      projects: (before["projects"] ?? 0) - 1,
      members: (before["members"] ?? 0) - 1,
      events: (before["events"] ?? 0) + 1,
    });
    expect((await stage.send({ path: path(created) })).status).toBe(404);
    expect((await stage.send({ method: "DELETE", path: path(created) })).status).toBe(404);
    expect(await eventsAbout(created)).toEqual([
      "project.created",
      "member.added",
      "project.deleted",
    ]);
  });

  test("POST /api/projects/:id/members adds each address once", async () => {
    const project = await stage.create({ name: "Team" });
    const request = {
      method: "POST",
      path: path(project, "/members"),
      body: { email: "sam@apiforge.dev", role: "admin" },
    };
    const before = await stage.storedRows();
    const added = await stage.send(request);
    expect(added.status).toBe(201);
    expect(added.json()).toEqual({
      success: true,
      data: {
        id: expect.stringMatching(/^mem_[0-9A-Za-z]{12,}$/),
        projectId: project.id,
        email: "sam@apiforge.dev",
        role: "admin",
        addedBy: "usr_9f3k2m",
        createdAt: expect.stringMatching(instant),
      },
    });
    const after = await stage.storedRows();
    expect(after).toEqual({
      ...before,
      members: (before["members"] ?? 0) + 1,
      events: (before["events"] ?? 0) + 1,
      jobs: (before["jobs"] ?? 0) + 1,
    });
    expect(await eventsAbout(project)).toEqual(["project.created", "member.added"]);

    const again = await stage.send(request);
    expect(again.status).toBe(409);
    expect(again.json()).toEqual({
      error: {
        type: "conflict_error",
        code: "member_exists",
        message: expect.stringContaining("sam@apiforge.dev"),
        param: "body.email",
        requestId: again.headers["x-request-id"],
      },
    });
    expect(await stage.storedRows()).toEqual(after);

    const other = { ...request, body: { email: "lee@apiforge.dev" } };
    expect(dataOf(await stage.send(other))).toMatchObject({ role: "member" });
  });

  test("X-Forge-Seq grows with every commit", async () => {
    const seqs: number[] = [];
    for (const name of ["one", "two", "three"]) {
      const response = await stage.send({ method: "POST", path: "/api/projects", body: { name } });
      seqs.push(Number(response.headers["x-forge-seq"]));
    }
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  });

  test("a token without an address stands for its subject", async () => {
    const created = await stage.create({ name: "Nameless" }, "nameless");
    expect(created.createdBy).toBe("usr_nameless");
    await stage.deployment().inspect(async (raw) => {
      const [event] = await raw.all(
        "select data from forge_events where tenant = 'ten_nameless' order by seq desc limit 1",
      );
      expect(JSON.parse(String(event?.["data"]))).toMatchObject({ actor: "usr_nameless" });
    });
  });

  test("what needs no token: health, the API's description, public keys", async () => {
    const client = stage.client();
    expect(await client.request({ path: "/health/live" })).toMatchObject({ status: 200 });
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
    const description = await client.request({ path: "/openapi.json" });
    const { openapi, paths } = description.json() as { openapi: string; paths: object };
    expect(openapi).toMatch(/^3\.1\./);
    // The server has other systems beside this one.
    const ours = Object.keys(paths).filter((path) => path.startsWith("/api/projects"));
    expect(ours.sort()).toEqual([
      "/api/projects",
      "/api/projects/{id}",
      "/api/projects/{id}/members",
    ]);
    const keys = await client.request({ path: "/.well-known/jwks.json" });
    const { keys: list } = keys.json() as { keys: object[] };
    // The development issuer's and the deployment's own.
    expect(list).toHaveLength(2);
    for (const key of list) expect(key).not.toHaveProperty("d");
  });

  async function eventsAbout(project: ProjectView): Promise<string[]> {
    return stage.deployment().inspect(async (raw) => {
      const rows = await raw.all("select type from forge_events where data like $1 order by seq", [
        `%${project.id}%`,
      ]);
      return rows.map((row) => String(row["type"]));
    });
  }
});
