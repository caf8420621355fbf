import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { readConfig, type ConfigProblem, type GatewayConfig } from "../../../src/app/index.ts";
import { compileGateway } from "../../../src/app/declarative/compile.ts";

const settings = readConfig({});
const health = "upstreams.a.health";
const files = { files: { endpoints: ["http://127.0.0.1:9000"] } };

/** What is wrong with a configuration that need not have the type of one. */
function problemsOf(config: unknown): readonly ConfigProblem[] {
  return compileGateway(config, settings).problems;
}

/** Paths of what is wrong with one route. */
function pathsOf(route: object, rest: object = {}): readonly string[] {
  return problemsOf({ upstreams: files, routes: [route], ...rest }).map(({ path }) => path);
}

describe("problems of a configuration", () => {
  test("all of them are found by one look, each with its place and what to do", () => {
    const found = problemsOf({
      upstreams: {
        orders: { endpoints: ["http://127.0.0.1:1"], timeouts: { conectMs: 3 } },
        users: { endpoints: ["ftp://127.0.0.1"] },
      },
      polices: {},
      policies: { public: { auth: "nobody" } },
      routes: [
        { path: "/orders/*", upstream: "orders" },
        { path: "/a/*", upstream: "order", limits: { perMinute: "lots" }, policies: ["publik"] },
        { path: "/a/*", upstream: "orders", methods: ["GET"] },
      ],
    });
    expect(found).toEqual([
      {
        path: "upstreams.orders.timeouts.conectMs",
        problem: "is not known here",
        remedy: "Write connectMs.",
      },
      {
        path: "upstreams.users.endpoints[0]",
        problem: "is a text that cannot be used here",
        remedy: "Write an endpoint: http://host[:port][/path], or https.",
      },
      { path: "polices", problem: "is not known here", remedy: "Write policies." },
      {
        path: "policies.public.auth",
        problem: "is a text that cannot be used here",
        remedy: "Write one of jwt, key, any, certificate, optional, none.",
      },
      {
        path: "routes[1].limits.perMinute",
        problem: "is a text that cannot be used here",
        remedy: "Write a whole number from 1 to 1,000,000,000.",
      },
      {
        path: "routes[1].upstream",
        problem: "names no upstream",
        remedy: "Write orders, or declare it.",
      },
      {
        path: "routes[1].policies[0]",
        problem: "names no policy",
        remedy: "Write public, or declare it.",
      },
      {
        path: "routes[2]",
        problem: "has a path for GET that routes[1] has too",
        remedy: "Change one of the paths, or name the methods of each.",
      },
    ]);
  });

  test("an endpoint's password is in no text", () => {
    const config = { upstreams: { a: { endpoints: ["http://user:hunter2@127.0.0.1"] } } };
    expect(JSON.stringify(problemsOf(config))).not.toContain("hunter2");
    expect(problemsOf(config)).toHaveLength(1);
  });

  test.each([
    ["no object", 7, [""]],
    ["no upstream", { upstreams: {} }, ["upstreams"]],
    ["upstreams missing", {}, ["upstreams"]],
    ["a name that is none", { upstreams: { "A b": files.files } }, ['upstreams["A b"]']],
    ["no endpoint", { upstreams: { a: { endpoints: [] } } }, ["upstreams.a.endpoints"]],
    [
      "credentials for every origin",
      { upstreams: files, cors: { origins: "*", credentials: true } },
      ["cors.credentials"],
    ],
    [
      "a reserve that leaves nothing",
      { upstreams: files, limits: { load: { maxInFlight: 5, reserved: 5 } } },
      ["limits.load.reserved"],
    ],
    [
      "an issuer whose keys are not safe to fetch",
      { upstreams: files, issuers: [{ issuer: "https://a", jwks: "http://example.com/jwks" }] },
      ["issuers[0].jwks"],
    ],
    ["health of a service that is none", healthOf({ service: "a b" }), [`${health}.service`]],
    ["health of neither path nor service", healthOf({ intervalMs: 5 }), [`${health}.path`]],
    ["health of both", healthOf({ path: "/h", service: "a.B" }), [`${health}.path`]],
    ["two stages of one name", { upstreams: files, stages: twoStages() }, ["stages[1]"]],
  ])("%s", (_name, config, paths) => {
    expect(problemsOf(config).map(({ path }) => path)).toEqual(paths);
  });

  test.each([
    ["a path without a slash", { path: "files", upstream: "files" }, ["routes[0].path"]],
    [
      "roles where nobody is known",
      { path: "/f", upstream: "files", auth: "none", roles: ["admin"] },
      ["routes[0]"],
    ],
    [
      "a certificate where no authority is trusted",
      { path: "/f", upstream: "files", auth: "certificate" },
      ["routes[0]"],
    ],
    ["a path that every server has", { path: "/docs", upstream: "files" }, ["routes[0]"]],
    [
      "a prefix with parameters",
      { path: "/:a/*", upstream: "files", stripPrefix: true },
      ["routes[0].stripPrefix"],
    ],
    [
      "a prefix of another path",
      { path: "/a/*", upstream: "files", stripPrefix: "/b" },
      ["routes[0].stripPrefix"],
    ],
    [
      "what is no JSON Schema",
      { path: "/f", upstream: "files", query: { properties: { q: { type: "txt" } } } },
      ["routes[0].query.properties.q.type"],
    ],
    [
      "a window that is too long",
      { path: "/f", upstream: "files", limits: [{ name: "x", limit: 1, per: "40d" }] },
      ["routes[0].limits[0].per"],
    ],
  ])("of a route: %s", (_name, route, paths) => {
    expect(pathsOf(route)).toEqual(paths);
  });

  test.each([{ path: "/h" }, { service: "orders.v1.Orders" }, { service: "" }])(
    "health by %j is none",
    (asked) => {
      expect(problemsOf(healthOf(asked))).toEqual([]);
    },
  );

  test("two limits of one name that differ", () => {
    const route = { path: "/f", upstream: "files", limits: [{ name: "x", limit: 1, per: "1m" }] };
    const everywhere = [{ name: "x", limit: 2, per: "1m" }];
    expect(pathsOf(route, { limits: { everywhere } })).toEqual(["routes[0].limits"]);
  });

  test("what is wrong with a policy is said once, where it stands", () => {
    const route = { upstream: "files", policies: ["p"] };
    const found = problemsOf({
      upstreams: files,
      policies: { p: { maxInFlight: 0 } },
      routes: [
        { path: "/a", ...route },
        { path: "/b", ...route },
      ],
    });
    expect(found.map(({ path }) => path)).toEqual(["policies.p.maxInFlight"]);
  });

  test("no value makes the check throw, and what is left over is a gateway", () => {
    const names = fc.constantFrom("upstreams", "routes", "policies", "defaults", "limits", "cors");
    const anything = fc.object({
      key: fc.constantFrom("path", "upstream", "endpoints", "auth", "a"),
    });
    fc.assert(
      fc.property(fc.dictionary(names, fc.oneof(anything, fc.array(anything))), (config) => {
        const { gateway, problems } = compileGateway(config, settings);
        expect(gateway === undefined).toBe(problems.length > 0);
      }),
    );
  });

  test("JSON says the same as a module", () => {
    const config: GatewayConfig = {
      upstreams: files,
      policies: { open: { auth: "none", limits: { perMinute: 600 } } },
      routes: [{ path: "/f/*", upstream: "files", policies: ["open"], stripPrefix: true }],
    };
    const routes = (given: unknown) => compileGateway(given, settings).gateway?.routes;
    const ofJson = routes(JSON.parse(JSON.stringify(config)));
    expect(
      ofJson?.map(({ method, path, auth, limits }) => ({ method, path, auth, limits })),
    ).toEqual(
      routes(config)?.map(({ method, path, auth, limits }) => ({ method, path, auth, limits })),
    );
    expect(ofJson).toHaveLength(5);
  });
});

function healthOf(asked: object) {
  return { upstreams: { a: { ...files.files, health: asked } } };
}

function twoStages() {
  const stage = { name: "mine", after: "route", stage: () => undefined };
  return [stage, stage];
}
