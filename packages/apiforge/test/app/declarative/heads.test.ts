import { expect, test } from "vitest";

import { readConfig, type PolicyConfig } from "../../../src/app/index.ts";
import { compileGateway } from "../../../src/app/declarative/compile.ts";
import { explainRequest } from "../../../src/app/declarative/explain.ts";

const settings = readConfig({});
const upstreams = { files: { endpoints: ["http://127.0.0.1:9"] } };

function problemsOf(route: object, rest: object = {}) {
  const routes = [{ path: "/f", upstream: "files", ...route }];
  return compileGateway({ upstreams, routes, ...rest }, settings).problems;
}

test("fields that cannot be declared are told with their place and the reason", () => {
  const found = problemsOf({
    request: { headers: { set: { Connection: "close", "x-a": "1" }, remove: ["X-Request-Id"] } },
    response: { headers: { set: { "x-a": 1, "x b": "1" }, remove: ["via", "X-C", "x-c"] } },
  });
  expect(found).toEqual([
    {
      path: "routes[0].request.headers.set.Connection",
      problem: "belongs to the connection, or frames the body",
      remedy: "Take it away.",
    },
    {
      path: "routes[0].request.headers.remove[0]",
      problem: "is written by the gateway itself",
      remedy: "Take it away.",
    },
    {
      path: 'routes[0].response.headers.set["x-a"]',
      problem: "is a number that cannot be used here",
      remedy: "Write a text of one line.",
    },
    {
      path: 'routes[0].response.headers.set["x b"]',
      problem: "is no name that can be used",
      remedy: "Name it with letters, digits and hyphens.",
    },
    {
      path: "routes[0].response.headers.remove[0]",
      problem: "is written by the gateway itself",
      remedy: "Take it away.",
    },
    {
      path: "routes[0].response.headers.remove[2]",
      problem: "is named twice",
      remedy: "Take one of them away; the case of a name means nothing.",
    },
  ]);
});

test("a value that has two lines is refused, and not repeated", () => {
  const found = problemsOf({ request: { headers: { set: { authorization: "hunter2\r\nx: 1" } } } });
  expect(found.map(({ path }) => path)).toEqual(["routes[0].request.headers.set.authorization"]);
  expect(JSON.stringify(found)).not.toContain("hunter2");
});

test("what a policy declares adds up with a route's own, whose word counts", async () => {
  const policy: PolicyConfig = {
    request: { headers: { set: { authorization: "hunter2", "x-kept": "1" }, remove: ["cookie"] } },
    response: { headers: { remove: ["server"] } },
  };
  const route = {
    path: "/f",
    upstream: "files",
    auth: "none",
    policies: ["internal"],
    request: { headers: { set: { Cookie: "session=1" }, remove: ["x-kept"] } },
  };
  const { gateway } = compileGateway(
    {
      upstreams,
      defaults: { response: { headers: { set: { "x-frame-options": "DENY" } } } },
      policies: { internal: policy },
      routes: [route],
    },
    settings,
  );
  if (gateway === undefined) throw new Error("The configuration is unsound");
  expect(gateway.placed[0]?.options).toMatchObject({
    request: {
      headers: { set: { authorization: "hunter2", cookie: "session=1" }, remove: ["x-kept"] },
    },
    response: { headers: { set: { "x-frame-options": "DENY" }, remove: ["server"] } },
  });
  const explained = await explainRequest(gateway, settings, {
    method: "GET",
    path: "/f",
    headers: {},
  });
  expect(
    explained.stages.filter(({ stage }) => stage === "backend").map(({ does }) => does),
  ).toEqual([
    "upstream files",
    "request: sets cookie, authorization; removes x-kept",
    "answer: sets x-frame-options; removes server",
  ]);
  expect(JSON.stringify(explained)).not.toContain("hunter2");
});
