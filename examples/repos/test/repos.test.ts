import { storeNames, type HttpRequest } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { reposStage } from "./stage.ts";

const graphqlType = "application/graphql-response+json";
const add = `mutation ($topic: String!) {
  addRepositoryTopic(owner: "octocat", name: "hello-world", topic: $topic) { topics }
}`;

/** A document nested `levels` deep. */
function nested(levels: number): string {
  const open = "owner { repositories(first: 1) { ".repeat(levels);
  return `{ repository(owner: "octocat", name: "hello-world") { ${open} name ${" } }".repeat(levels)} } }`;
}

describe.for(storeNames)("repositories, %s", (store) => {
  const stage = reposStage(store);

  function post(body: object, rest: Partial<HttpRequest> = {}) {
    return stage.client().request({ method: "POST", path: "/graphql", body, ...rest });
  }

  async function events(): Promise<number> {
    return stage.deployment().inspect(async (raw) => {
      const rows = await raw.all(
        "select 1 from forge_events where type = 'repository.topic_added'",
      );
      return rows.length;
    });
  }

  describe("version 3", () => {
    const told = {
      deprecation: "@1790812800",
      sunset: "Fri, 01 Oct 2027 00:00:00 GMT",
      link: '</graphql>; rel="successor-version"',
    };

    test("answers, and says until when and what comes after it", async () => {
      const answer = await stage.client().request({ path: "/repos/octocat/hello-world" });
      expect(answer).toMatchObject({ status: 200, headers: told });
      expect(answer.json()).toEqual({
        name: "hello-world",
        full_name: "octocat/hello-world",
        owner: { login: "octocat" },
        description: "My first repository",
        stargazers_count: 2900,
        topics: ["example"],
      });
    });

    test("says so where there is no such repository, and nowhere else", async () => {
      const missing = await stage.client().request({ path: "/repos/octocat/nothing" });
      expect(missing).toMatchObject({ status: 404, headers: told });
      const other = await post({ query: "{ __typename }" });
      expect(other.headers).not.toHaveProperty("deprecation");
    });
  });

  test("a query answers what it asks for, by POST and by GET, without a token", async () => {
    const query =
      '{ repository(owner: "apiforge", name: "apiforge") { nameWithOwner topics owner { repositories(first: 2) { name stargazerCount description } } } }';
    const data = {
      repository: {
        nameWithOwner: "apiforge/apiforge",
        topics: ["api", "durable"],
        owner: {
          repositories: [
            {
              name: "apiforge",
              stargazerCount: 412,
              description: "The production layer of an API",
            },
            { name: "empty", stargazerCount: 0, description: null },
          ],
        },
      },
    };
    expect((await post({ query })).json()).toEqual({ data });
    const path = `/graphql?query=${encodeURIComponent(query)}`;
    const got = await stage.client().request({ path, headers: { accept: graphqlType } });
    expect(got.headers["content-type"]).toBe(`${graphqlType}; charset=utf-8`);
    expect(got.json()).toEqual({ data });
  });

  describe("a mutation", () => {
    test("commits its topic with its event once, and its key replays the answer", async () => {
      const token = await stage.deployment().token({ sub: "usr_octocat" });
      const before = await events();
      const body = { query: add, variables: { topic: "greeting" } };
      const rest = { token, headers: { "idempotency-key": "topic-1" } };
      const first = await post(body, rest);
      expect(first.json()).toEqual({
        data: { addRepositoryTopic: { topics: ["example", "greeting"] } },
      });
      const again = await post(body, rest);
      expect(again.headers["idempotent-replayed"]).toBe("true");
      expect(again.body).toBe(first.body);
      expect((await post(body, { token })).body).toBe(first.body);
      expect(await events()).toBe(before + 1);
    });

    test("needs a token, and a good one", async () => {
      const body = { query: add, variables: { topic: "anonymous" } };
      const before = await events();
      expect((await post(body)).json()).toMatchObject({
        data: { addRepositoryTopic: null },
        errors: [{ extensions: { type: "authentication_error", code: "missing_token" } }],
      });
      const bad = await post(body, { token: "not.a.token" });
      expect(bad.status).toBe(401);
      expect(bad.json()).toMatchObject({ error: { code: "invalid_token" } });
      expect(await events()).toBe(before);
    });

    test("is refused by GET", async () => {
      const path = `/graphql?query=${encodeURIComponent("mutation { __typename }")}`;
      expect(await stage.client().request({ path })).toMatchObject({
        status: 405,
        headers: { allow: "POST" },
      });
    });

    test("is refused with the envelope's code", async () => {
      const token = await stage.deployment().token({ sub: "usr_octocat" });
      const refused = await post({ query: add, variables: { topic: "No topic" } }, { token });
      expect(refused.json()).toMatchObject({
        errors: [
          {
            path: ["addRepositoryTopic"],
            extensions: { type: "invalid_request_error", code: "topic_invalid", param: "topic" },
          },
        ],
      });
    });
  });

  test.for([
    ["7 levels", nested(3), "query_too_deep"],
    [
      "7 levels in fragments",
      `${nested(1).replace(" name ", " ...F ")} fragment F on Repository { owner { repositories(first: 1) { owner { login } } } }`,
      "query_too_deep",
    ],
    [
      "a page of pages",
      `{ owner(login: "octocat") { repositories(first: 50) { owner { repositories(first: 50) { name } } } } }`,
      "query_too_costly",
    ],
    [
      "a page without a size",
      `{ owner(login: "octocat") { repositories { owner { repositories(first: 20) { name } } } } }`,
      "query_too_costly",
    ],
    [
      "many aliases",
      `{ ${Array.from({ length: 501 }, (_, i) => `a${i}: owner(login: "o") { login }`).join(" ")} }`,
      "query_too_costly",
    ],
  ] as const)("%s: refused before anything is executed", async ([, query, code]) => {
    const refused = await post({ query }, { headers: { accept: graphqlType } });
    expect(refused.status, refused.body).toBe(400);
    expect(refused.json()).toMatchObject({ errors: [{ extensions: { code } }] });
    expect(refused.json()).not.toHaveProperty("data");
  });

  test("a fragment that is spread twice on each of 60 levels is measured once", async () => {
    const fragments = Array.from(
      { length: 60 },
      (_, i) =>
        `fragment F${i} on Repository { ${i === 59 ? "name" : `...F${i + 1} ...F${i + 1}`} }`,
    ).join("\n");
    const query = `{ repository(owner: "octocat", name: "hello-world") { ...F0 } }\n${fragments}`;
    expect((await post({ query })).json()).toMatchObject({
      errors: [{ extensions: { code: "query_too_costly" } }],
    });
  });

  test("many operations in one body are refused", async () => {
    const refused = await post([{ query: "{ __typename }" }]);
    expect(refused.status).toBe(400);
  });
});

describe("listed documents alone", () => {
  const stage = reposStage("sqlite", { REPOS_DOCUMENTS: "listed" });
  const hash = "8cb41af285143799829ce3fb9b186c63ee5c8f9c4c1aacde902b9f711a86ec7b";

  function persisted(sha256Hash: string): string {
    const parameters = new URLSearchParams({
      extensions: JSON.stringify({ persistedQuery: { version: 1, sha256Hash } }),
      variables: JSON.stringify({ owner: "octocat", name: "spoon-knife" }),
    });
    return `/graphql?${parameters}`;
  }

  test("a listed one is run by its hash", async () => {
    const answer = await stage.client().request({ path: persisted(hash) });
    expect(answer.json()).toMatchObject({
      data: { repository: { nameWithOwner: "octocat/spoon-knife" } },
    });
  });

  test("others are refused, by hash and by text", async () => {
    const unknown = await stage.client().request({ path: persisted("0".repeat(64)) });
    expect(unknown.status).toBe(400);
    expect(unknown.json()).toMatchObject({
      errors: [{ extensions: { code: "document_not_listed" } }],
    });
    const text = await stage
      .client()
      .request({ method: "POST", path: "/graphql", body: { query: "{ __typename }" } });
    expect(text.status).toBe(400);
    expect(text.json()).toMatchObject({
      errors: [{ extensions: { code: "document_not_listed" } }],
    });
  });
});
