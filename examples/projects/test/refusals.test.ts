import { storeNames } from "@apiforge/testing";
import { assertScenario, runScenarios, type Scenario } from "@apiforge/testing/scenario";
import { describe, expect, test } from "vitest";

import { projectsStage } from "./stage.ts";
import type { TokenName } from "./tokens.ts";

const invalid = "invalid_request_error";
const requestId = /^req_[0-9A-Za-z]{22}$/;
const json = { "content-type": "application/json" };

type Request = Omit<Scenario["request"], "token"> & { readonly as?: TokenName | null };

/** A request of priya's, unless it says otherwise, that is refused and leaves nothing. */
function refusal(
  name: string,
  { as = "priya", ...request }: Request,
  status: number,
  envelope: { readonly type?: string; readonly code: string; readonly param?: string },
  headers: Readonly<Record<string, string | RegExp | null>> = {},
): Scenario {
  return {
    name,
    request: { ...request, ...(as === null ? {} : { token: as }) },
    expect: {
      status,
      envelope: { type: invalid, ...envelope },
      headers: {
        "x-request-id": requestId,
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
        "x-forge-seq": null,
        ...headers,
      },
      bodyHasNot: [/\bat .+:\d+/, /sqlite|postgres|select |insert |forge_/i],
      stored: "nothing",
    },
  };
}

function post(parts: Partial<Request>): Request {
  return { method: "POST", path: "/api/projects", ...parts };
}

const bodies: readonly Scenario[] = [
  refusal("malformed JSON", post({ rawBody: '{"name":', headers: json }), 400, {
    code: "invalid_json",
  }),
  refusal("JSON with a comment", post({ rawBody: '{"name":"a"}//', headers: json }), 400, {
    code: "invalid_json",
  }),
  refusal(
    "text that is no UTF-8",
    post({ rawBody: Buffer.from([0x22, 0xff, 0x22]), headers: json }),
    400,
    { code: "invalid_json" },
  ),
  refusal("no body", post({}), 400, { code: "validation_failed", param: "body" }),
  refusal("an array", post({ body: [] }), 400, { code: "validation_failed", param: "body" }),
  refusal("null", post({ body: null }), 400, { code: "validation_failed", param: "body" }),
  refusal("no name", post({ body: {} }), 400, { code: "validation_failed", param: "body.name" }),
  refusal("a name of the wrong type", post({ body: { name: 5 } }), 400, {
    code: "validation_failed",
    param: "body.name",
  }),
  refusal("an empty name", post({ body: { name: "  " } }), 400, {
    code: "validation_failed",
    param: "body.name",
  }),
  refusal("a name of 201 characters", post({ body: { name: "x".repeat(201) } }), 400, {
    code: "validation_failed",
    param: "body.name",
  }),
  refusal("a status of the wrong type", post({ body: { name: "a", status: false } }), 400, {
    code: "validation_failed",
    param: "body.status",
  }),
  refusal("a description of the wrong type", post({ body: { name: "a", description: {} } }), 400, {
    code: "validation_failed",
    param: "body.description",
  }),
  refusal("an unknown field", post({ body: { name: "a", owner: "me" } }), 400, {
    code: "unknown_field",
    param: "body.owner",
  }),
  refusal("a field of the server's", post({ body: { name: "a", id: "proj_mine" } }), 400, {
    code: "unknown_field",
    param: "body.id",
  }),
  refusal(
    "a key that is given twice",
    post({ rawBody: '{"name":"a","name":"b"}', headers: json }),
    400,
    { code: "duplicate_json_key", param: "body.name" },
  ),
  refusal(
    "a key that is given twice, once escaped",
    post({ rawBody: '{"name":"a","n\\u0061me":"b"}', headers: json }),
    400,
    { code: "duplicate_json_key", param: "body.name" },
  ),
  refusal(
    "a key that sets a prototype",
    post({ rawBody: '{"name":"a","__proto__":{}}', headers: json }),
    400,
    { code: "forbidden_json_key", param: "body.__proto__" },
  ),
  refusal(
    "U+0000, which text of PostgreSQL cannot hold",
    post({ body: { name: "a\u0000b" } }),
    400,
    {
      code: "forbidden_character",
      param: "body.name",
    },
  ),
  refusal(
    "65 levels",
    post({ rawBody: `${"[".repeat(65)}${"]".repeat(65)}`, headers: json }),
    400,
    { code: "json_too_deep" },
  ),
  refusal(
    "more than 1 MiB",
    post({ body: { name: "a", description: "x".repeat(1_048_576) } }),
    413,
    {
      code: "body_too_large",
    },
  ),
  refusal(
    "another content type",
    post({ rawBody: "name=a", headers: { "content-type": "application/x-www-form-urlencoded" } }),
    415,
    { code: "unsupported_media_type" },
  ),
  refusal("text", post({ rawBody: "{}", headers: { "content-type": "text/plain" } }), 415, {
    code: "unsupported_media_type",
  }),
  refusal("no content type", post({ rawBody: '{"name":"a"}' }), 415, {
    code: "unsupported_media_type",
  }),
  refusal(
    "a compressed body",
    post({ rawBody: "x", headers: { ...json, "content-encoding": "gzip" } }),
    415,
    { code: "unsupported_media_type" },
  ),
];

const key255 = "k".repeat(255);

const idempotencyKeys: readonly Scenario[] = Object.entries({
  empty: "",
  "256 characters": `${key255}k`,
  "a space inside": "a key",
  "a quote left open": '"key',
  "empty in quotes": '""',
  "characters beyond ASCII": "schl\u00fcssel",
  "two keys in one header": "one, two",
}).map(([name, key]) =>
  refusal(
    `an idempotency key: ${name}`,
    post({ headers: { "idempotency-key": key }, body: { name: "a" } }),
    400,
    { type: "idempotency_error", code: "invalid_idempotency_key" },
  ),
);

const doubledKeys: readonly Scenario[] = [
  refusal(
    "the idempotency header twice",
    post({ headers: { "idempotency-key": ["one", "two"] }, body: { name: "a" } }),
    400,
    { type: "idempotency_error", code: "invalid_idempotency_key" },
  ),
  refusal(
    "an alias that contradicts",
    post({
      headers: { "idempotency-key": "one", "x-idempotency-key": "two" },
      body: { name: "a" },
    }),
    400,
    { type: "idempotency_error", code: "invalid_idempotency_key" },
  ),
];

const challenge = 'Bearer realm="apiforge"';
const refusedChallenge =
  /^Bearer realm="apiforge", error="invalid_token", error_description="[^"]+"$/;
const everyRoute: readonly Request[] = [
  post({ body: { name: "a" } }),
  { path: "/api/projects" },
  { path: "/api/projects/proj_any" },
  { method: "PATCH", path: "/api/projects/proj_any", body: { name: "b" } },
  { method: "DELETE", path: "/api/projects/proj_any" },
  { method: "POST", path: "/api/projects/proj_any/members", body: { email: "a@b.example" } },
];

const missingTokens = everyRoute.map((request) =>
  refusal(
    `no token: ${request.method ?? "GET"} ${request.path}`,
    { ...request, as: null },
    401,
    { type: "authentication_error", code: "missing_token" },
    { "www-authenticate": challenge },
  ),
);

const badTokens = (
  [
    "garbage",
    "alg none",
    "HS256 with the public key as PEM",
    "HS256 with the public key as JWK",
    "another key under the known kid",
    "altered payload",
    "wrong audience",
    "wrong issuer",
    "without tenant",
    "without subject",
    "without expiry",
    "not valid yet",
  ] as const satisfies readonly TokenName[]
).map((as) =>
  refusal(
    `a token: ${as}`,
    post({ as, body: { name: "a" } }),
    401,
    { type: "authentication_error", code: "invalid_token" },
    { "www-authenticate": refusedChallenge },
  ),
);

const expiredToken = refusal(
  "an expired token",
  post({ as: "expired", body: { name: "a" } }),
  401,
  { type: "authentication_error", code: "token_expired" },
  { "www-authenticate": refusedChallenge },
);

const basicCredentials = refusal(
  "credentials of another scheme",
  post({ as: null, headers: { authorization: "Basic cHJpeWE6eA==" }, body: { name: "a" } }),
  401,
  { type: "authentication_error", code: "invalid_token" },
  { "www-authenticate": refusedChallenge },
);

const routing: readonly Scenario[] = [
  refusal("an unknown route", { path: "/api/project" }, 404, {
    type: "not_found_error",
    code: "route_not_found",
  }),
  refusal("an unknown route, with a body", { ...post({ body: {} }), path: "/api/nothing" }, 404, {
    type: "not_found_error",
    code: "route_not_found",
  }),
  refusal("a trailing slash", { path: "/api/projects/" }, 404, {
    type: "not_found_error",
    code: "route_not_found",
  }),
  refusal(
    "a method of no route",
    { method: "PUT", path: "/api/projects", body: {} },
    405,
    { code: "method_not_allowed" },
    { allow: "GET, HEAD, OPTIONS, POST" },
  ),
  refusal(
    "a method of no route of one project",
    { method: "PUT", path: "/api/projects/proj_any", body: {} },
    405,
    { code: "method_not_allowed" },
    { allow: "DELETE, GET, HEAD, OPTIONS, PATCH" },
  ),
  refusal(
    "a method of no route of members",
    { path: "/api/projects/proj_any/members" },
    405,
    { code: "method_not_allowed" },
    { allow: "OPTIONS, POST" },
  ),
  refusal("broken percent-encoding", { path: "/api/projects/%zz" }, 400, { code: "invalid_url" }),
  refusal("U+0000 in an id", { path: "/api/projects/proj%00" }, 400, { code: "invalid_url" }),
  refusal("U+0000 in a filter", { path: "/api/projects?status=%00" }, 400, { code: "invalid_url" }),
];

const queries: readonly Scenario[] = [
  ...["0", "101", "-1", "1.5", "ten", ""].map((limit) =>
    refusal(`limit=${limit}`, { path: `/api/projects?limit=${limit}` }, 400, {
      code: "validation_failed",
      param: "query.limit",
    }),
  ),
  refusal("an unknown query parameter", { path: "/api/projects?sort=name" }, 400, {
    code: "unknown_field",
    param: "query.sort",
  }),
  ...["nonsense", "", "a.b", "x".repeat(5_000)].map((cursor) =>
    refusal(
      `a cursor that nobody made (${cursor.length} characters)`,
      { path: `/api/projects?cursor=${cursor}` },
      400,
      { code: "invalid_cursor", param: "query.cursor" },
    ),
  ),
];

const unknownProject = everyRoute
  .filter(({ path }) => path.includes("proj_any"))
  .map((request) =>
    refusal(`${request.method ?? "GET"} ${request.path}: no such project`, request, 404, {
      type: "not_found_error",
      code: "not_found",
    }),
  );

const changes: readonly Scenario[] = [
  refusal(
    "a change of nothing",
    { method: "PATCH", path: "/api/projects/proj_any", body: {} },
    400,
    {
      code: "validation_failed",
      param: "body",
    },
  ),
  refusal(
    "a change of an unknown field",
    { method: "PATCH", path: "/api/projects/proj_any", body: { createdBy: "me" } },
    400,
    { code: "unknown_field", param: "body.createdBy" },
  ),
  refusal(
    "a body for DELETE",
    { method: "DELETE", path: "/api/projects/proj_any", body: { force: true } },
    400,
    { code: "unknown_field", param: "body.force" },
  ),
  refusal(
    "a member without address",
    { method: "POST", path: "/api/projects/proj_any/members", body: {} },
    400,
    { code: "validation_failed", param: "body.email" },
  ),
  refusal(
    "a member with a bad address",
    { method: "POST", path: "/api/projects/proj_any/members", body: { email: "not an address" } },
    400,
    { code: "validation_failed", param: "body.email" },
  ),
  refusal(
    "a member with an unknown role",
    {
      method: "POST",
      path: "/api/projects/proj_any/members",
      body: { email: "a@b.example", role: "owner" },
    },
    400,
    { code: "validation_failed", param: "body.role" },
  ),
];

describe.for(storeNames)("refusals, %s", (store) => {
  const stage = projectsStage(store);

  runScenarios(stage, [
    ...bodies,
    ...idempotencyKeys,
    ...doubledKeys,
    ...missingTokens,
    ...badTokens,
    expiredToken,
    basicCredentials,
    ...routing,
    ...queries,
    ...unknownProject,
    ...changes,
  ]);

  test("cursors that were altered, or belong to another tenant, filter or user's list", async () => {
    for (const name of ["one", "two", "three"]) {
      await stage.create({ name });
      await stage.create({ name }, "stranger");
    }
    const first = await stage.send({ path: "/api/projects?limit=1" });
    const { nextCursor } = first.json() as { nextCursor: string };
    const [position = "", signature = ""] = nextCursor.split(".");
    const forged = Buffer.from('{"id":"zzz"}').toString("base64url");
    const wrong: readonly Request[] = [
      { path: `/api/projects?cursor=${forged}.${signature}` },
      {
        path: `/api/projects?cursor=${position}.${signature.replace(/^./, (c) => (c === "A" ? "B" : "A"))}`,
      },
      { path: `/api/projects?cursor=${position}` },
      { path: `/api/projects?cursor=${nextCursor}`, as: "stranger" },
      { path: `/api/projects?cursor=${nextCursor}&status=active` },
    ];
    for (const request of wrong) {
      await assertScenario(
        stage,
        refusal("a cursor", request, 400, { code: "invalid_cursor", param: "query.cursor" }),
      );
    }
    const next = await stage.send({ path: `/api/projects?cursor=${nextCursor}&limit=2` });
    expect(next.status).toBe(200);
  });

  test("the same facts as a problem document where one is asked for", async () => {
    const response = await stage.send({
      method: "POST",
      path: "/api/projects",
      headers: { accept: "application/problem+json", "x-request-id": "my-request-1" },
      body: { name: "a", owner: "me" },
    });
    expect(response.status).toBe(400);
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.headers["x-request-id"]).toBe("my-request-1");
    expect(response.json()).toEqual({
      type: "urn:apiforge:error:unknown_field",
      title: "Bad Request",
      status: 400,
      detail: "body.owner is not a known field",
      instance: "urn:apiforge:request:my-request-1",
      code: "unknown_field",
      errorType: invalid,
      param: "body.owner",
      requestId: "my-request-1",
    });
  });

  test("a request id that is not 1-128 visible characters is replaced", async () => {
    for (const given of ["two words", "x".repeat(129)]) {
      const response = await stage.send({ path: "/nothing", headers: { "x-request-id": given } });
      expect(response.headers["x-request-id"]).toMatch(requestId);
    }
  });

  test("a HEAD is refused like its GET, without a body", async () => {
    const response = await stage.client().request({ method: "HEAD", path: "/api/projects" });
    expect(response).toMatchObject({
      status: 401,
      body: "",
      headers: { "www-authenticate": challenge },
    });
  });
});
