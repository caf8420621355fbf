import { storeNames } from "@apiforge/testing";
import { assertScenario, type Scenario } from "@apiforge/testing/scenario";
import { beforeAll, describe, expect, test } from "vitest";

import { dataOf, projectsStage, type ProjectView } from "./stage.ts";

describe.for(storeNames)("tenants, %s", (store) => {
  const stage = projectsStage(store);
  let mine: ProjectView;

  beforeAll(async () => {
    mine = await stage.create({ name: "Mine" });
    await stage.create({ name: "Theirs" }, "stranger");
  });

  const routes: readonly {
    readonly method: string;
    readonly rest?: string;
    readonly body?: object;
  }[] = [
    { method: "GET" },
    { method: "HEAD" },
    { method: "PATCH", body: { name: "Taken over" } },
    { method: "DELETE" },
    { method: "POST", rest: "/members", body: { email: "eve@other.example" } },
  ];

  test.for(routes)("$method …$rest: another tenant's project does not exist", async (route) => {
    const { method, rest = "", body } = route;
    const request = { method, ...(body === undefined ? {} : { body }) };
    const existing = { ...request, path: `/api/projects/${mine.id}${rest}` };
    const missing = { ...request, path: `/api/projects/proj_0000000000000000000000${rest}` };
    const name = `${method} as a stranger`;
    const expected: Scenario["expect"] =
      method === "HEAD"
        ? { status: 404, stored: "nothing" }
        : {
            status: 404,
            envelope: { type: "not_found_error", code: "not_found" },
            stored: "nothing",
          };
    for (const path of [existing, missing]) {
      await assertScenario(stage, {
        name,
        request: { ...path, token: "stranger" },
        expect: expected,
      });
    }
    // Nothing but the request id tells one that exists from one that does not.
    const [one, other] = await Promise.all(
      [existing, missing].map((request) =>
        stage.send({ ...request, as: "stranger", headers: { "x-request-id": "same" } }),
      ),
    );
    expect(one?.body).toBe(other?.body);
  });

  test("a list shows one tenant's projects, to each of its users", async () => {
    for (const [as, name] of [
      ["priya", "Mine"],
      ["sam", "Mine"],
      ["stranger", "Theirs"],
    ] as const) {
      const response = await stage.send({ path: "/api/projects", as });
      const { data } = response.json() as { data: ProjectView[] };
      expect(data.map((project) => project.name)).toEqual([name]);
    }
  });

  test("it is still there, unchanged, after all of that", async () => {
    expect(dataOf(await stage.send({ path: `/api/projects/${mine.id}` }))).toEqual(mine);
  });
});
