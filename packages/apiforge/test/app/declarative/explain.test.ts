import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import {
  openDevIssuer,
  readConfig,
  type Config,
  type ExplainedRequest,
  type GatewayConfig,
} from "../../../src/app/index.ts";
import { explainRequest } from "../../../src/app/declarative/explain.ts";
import { compileGateway } from "../../../src/app/declarative/compile.ts";
import { defineRoute, forbidden, stage } from "../../../src/edge/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";

const json = { "content-type": "application/json" };
let settings: Config;

beforeAll(async () => {
  settings = { ...readConfig({}), dataDir: await mkdtemp(join(tmpdir(), "explain-")) };
});
afterAll(() => rm(settings.dataDir, { recursive: true }));

const config: GatewayConfig = {
  // Nothing listens there, and nothing is asked.
  upstreams: { files: { endpoints: ["http://127.0.0.1:9"] } },
  cors: { origins: ["https://shop.example.com"] },
  limits: { everywhere: { perSecond: 1_000 } },
  routes: [
    { path: "/open/*", upstream: "files", auth: "none", stripPrefix: true },
    { path: "/staff/*", upstream: "files", roles: ["admin"], limits: { perMinute: 10 } },
    { path: "/keyed", upstream: "files", auth: "key" },
    { path: "/body", upstream: "files", auth: "none", body: { type: "object", required: ["n"] } },
    defineRoute({
      method: "POST",
      path: "/own",
      replies: { 204: null },
      handler: () => {
        throw new Error("A handler is run");
      },
    }),
  ],
  stages: [
    stage("vip", "authorize", (route) =>
      route?.path !== "/staff/*"
        ? undefined
        : {
            enter({ headers }) {
              if (headers["x-vip"] === undefined) throw forbidden("Only for the important");
            },
          },
    ),
  ],
};

async function explain(request: Partial<ExplainedRequest> & { readonly path: string }) {
  const { gateway } = compileGateway(config, settings);
  if (gateway === undefined) throw new Error("The configuration is unsound");
  return explainRequest(gateway, settings, { method: "GET", headers: {}, ...request });
}

async function bearer(role: string): Promise<string> {
  const issuer = await openDevIssuer(settings, silentLog);
  return `Bearer ${await issuer.sign({ subject: "usr_1", tenant: "ten_1", role })}`;
}

describe("what becomes of a request", () => {
  test("one that passes ends at its upstream, by the path that this is asked for", async () => {
    const { verdict, route } = await explain({ path: "/open/a?b=c" });
    expect(verdict).toMatchObject({ outcome: "passes", stage: undefined });
    expect(route).toEqual({
      at: "routes[0]",
      method: "GET",
      path: "/open/*",
      backend: "upstream files",
      endpoints: ["http://127.0.0.1:9"],
      upstreamPath: "/a?b=c",
    });
  });

  test.each([
    ["no route", { path: "/nothing" }, "route", 404, "route_not_found"],
    ["another method", { path: "/keyed/x", method: "GET" }, "route", 404, "route_not_found"],
    ["no token", { path: "/staff/a" }, "authenticate", 401, "missing_token"],
    ["no key", { path: "/keyed" }, "authenticate", 401, "missing_api_key"],
    [
      "a body that does not fit",
      { path: "/body", method: "POST", headers: json, body: "{}" },
      "validate",
      400,
      "validation_failed",
    ],
    [
      "two hosts in one",
      { path: "/open/a", headers: { host: "a/b@c" } },
      "guard",
      400,
      "malformed_request",
    ],
  ])("%s is refused", async (_name, request, stageName, status, code) => {
    const { verdict } = await explain(request);
    expect(verdict).toMatchObject({ outcome: "refused", stage: stageName, status, code });
  });

  test("a token of another role is refused by authorize", async () => {
    const headers = { authorization: await bearer("member") };
    const { verdict } = await explain({ path: "/staff/a", headers });
    expect(verdict).toMatchObject({ outcome: "refused", stage: "authorize", status: 403 });
  });

  test("a stage of the application is named when it refuses, and nothing is said of it when it does not", async () => {
    const authorization = await bearer("admin");
    const refused = await explain({ path: "/staff/a", headers: { authorization } });
    expect(refused.verdict).toMatchObject({ outcome: "refused", stage: "vip", status: 403 });
    const passed = await explain({ path: "/staff/a", headers: { authorization, "x-vip": "1" } });
    expect(passed.verdict.outcome).toBe("passes");
  });

  test("a handler is not run, and no transaction begun", async () => {
    const headers = { authorization: await bearer("member") };
    const { verdict, route } = await explain({ path: "/own", method: "POST", headers });
    expect(verdict.outcome).toBe("passes");
    expect(route).toMatchObject({ at: "routes[4]", backend: "handler", endpoints: [] });
  });

  test("whether an API key is good only a running server knows", async () => {
    const { verdict } = await explain({ path: "/keyed", headers: { "x-api-key": "af_live_x" } });
    expect(verdict).toMatchObject({ outcome: "unknown", stage: "authenticate" });
  });

  test("a preflight is answered by route", async () => {
    const headers = {
      origin: "https://shop.example.com",
      "access-control-request-method": "GET",
    };
    const { verdict } = await explain({ path: "/open/a", method: "OPTIONS", headers });
    expect(verdict).toMatchObject({ outcome: "answered", stage: "route", status: 204 });
  });

  test("its stages are told in order, with what each may answer", async () => {
    const { stages } = await explain({ path: "/staff/a" });
    expect(stages).toEqual([
      { stage: "guard", does: "framing, Host and target are sound", answers: [400, 414, 431] },
      {
        stage: "correlate",
        does: "has a request id, and its place in the caller's trace",
        answers: [],
      },
      { stage: "route", does: "GET /staff/*", answers: [404, 405] },
      { stage: "cors", does: "pages of https://shop.example.com", answers: [] },
      {
        stage: "authenticate",
        does: "limit everywhere-per-second: 1,000 per 1s by address",
        answers: [429],
      },
      { stage: "authenticate", does: "a token", answers: [401, 503] },
      { stage: "authorize", does: "role admin", answers: [403] },
      { stage: "vip", does: "a stage of this gateway", answers: [] },
      {
        stage: "admit",
        does: "limit staff-per-minute: 10 per 1m by principal",
        answers: [429],
      },
      { stage: "backend", does: "upstream files", answers: [502, 503, 504] },
    ]);
  });
});
