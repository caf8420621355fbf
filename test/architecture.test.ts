import { describe, expect, test } from "vitest";
import { violationsOf } from "../scripts/boundaries/check.ts";
import { importsOf } from "../scripts/boundaries/imports.ts";
import { plantTree } from "./gates/planted-tree.ts";

const core = "packages/apiforge/src";

function complaints(path: string, source: string): string[] {
  return violationsOf(path, importsOf(path, source));
}

describe("forbidden imports", () => {
  test.each<[path: string, source: string, complaint: string]>([
    // The direction between rooms.
    [
      `${core}/kernel/a.ts`,
      'import "../resilience/index.ts";',
      "kernel must not import resilience",
    ],
    [
      "packages/client/src/a.ts",
      'import type { Route } from "apiforge";',
      "packages/client must not import apiforge",
    ],
    [`${core}/kernel/a.ts`, 'import "pino";', "kernel imports node: modules only, not pino"],
    [`${core}/schema/a.ts`, 'import "../durable/index.ts";', "schema must not import durable"],
    [`${core}/resilience/a.ts`, 'import "../store/index.ts";', "resilience must not import store"],
    [`${core}/store/a.ts`, 'import "../resilience/index.ts";', "store must not import resilience"],
    [`${core}/store/a.ts`, 'import "./sqlite/index.ts";', "store must not import store/sqlite"],
    [
      `${core}/store/sqlite/a.ts`,
      'import "../postgres/index.ts";',
      "store/sqlite must not import store/postgres",
    ],
    [
      `${core}/store/postgres/a.ts`,
      'import "../sqlite/index.ts";',
      "store/postgres must not import store/sqlite",
    ],
    [
      `${core}/durable/a.ts`,
      'import "../store/sqlite/index.ts";',
      "durable must not import store/sqlite",
    ],
    [
      `${core}/durable/jobs/a.ts`,
      'import "../../store/postgres/index.ts";',
      "durable must not import store/postgres",
    ],
    [`${core}/durable/a.ts`, 'import "../edge/index.ts";', "durable must not import edge"],
    [`${core}/kysely/a.ts`, 'import "../edge/index.ts";', "kysely must not import edge"],
    [`${core}/graphql/a.ts`, 'import "../durable/index.ts";', "graphql must not import durable"],
    [
      `${core}/store/redis/a.ts`,
      'import "../postgres/index.ts";',
      "store/redis must not import store/postgres",
    ],
    [`${core}/edge/a.ts`, 'import "../app/index.ts";', "edge must not import app"],
    [
      `${core}/edge/a.ts`,
      'import { STATUS_CODES, type Server } from "node:http";',
      "node:http is 16 MB of fetch when it is imported: take what you need by edge/node-http.ts",
    ],
    [
      `${core}/edge/a.ts`,
      'import "../store/sqlite/index.ts";',
      "edge must not import store/sqlite",
    ],
    [`${core}/edge/a.ts`, 'import "../store/index.ts";', "edge may take only types from store"],
    [
      `${core}/edge/stages/a.ts`,
      'import "../../features/search/index.ts";',
      "edge must not import features/search",
    ],
    [
      `${core}/features/search/a.ts`,
      'import "../webhooks/index.ts";',
      "features/search must not import features/webhooks",
    ],
    [
      `${core}/features/search/a.ts`,
      'import { defineRoute } from "../../edge/index.ts";',
      "features/search may take only types from edge",
    ],
    [
      `${core}/features/search/a.ts`,
      'import "../../app/index.ts";',
      "features/search must not import app",
    ],
    [`${core}/gateway/a.ts`, 'import "../store/index.ts";', "gateway must not import store"],
    [`${core}/edge/a.ts`, 'import "../gateway/index.ts";', "edge must not import gateway"],
    [`${core}/app/a.ts`, 'import "../cli/index.ts";', "app must not import cli"],
    [`${core}/cli/a.ts`, 'import "../durable/index.ts";', "cli must not import durable"],
    [`${core}/newroom/a.ts`, "", "room newroom has no row"],

    // A room is reached through its index.
    [`${core}/edge/a.ts`, 'import "../durable/jobs.ts";', "edge reaches into durable"],
    [`${core}/app/a.ts`, 'import "../store/sqlite/writer.ts";', "app reaches into store/sqlite"],

    // Every way to write an import counts.
    [`${core}/kernel/a.ts`, 'export * from "../edge/index.ts";', "kernel must not import edge"],
    [`${core}/kernel/a.ts`, 'export { x } from "../edge/index.ts";', "kernel must not import edge"],
    [`${core}/kernel/a.ts`, 'import type { X } from "../edge/index.ts";', "kernel must not import"],
    [
      `${core}/kernel/a.ts`,
      'type X = import("../edge/index.ts").X;',
      "kernel must not import edge",
    ],
    [`${core}/kernel/a.ts`, 'await import("../edge/index.ts");', "kernel must not import edge"],
    [`${core}/edge/a.ts`, "await import(name);", "import() of a computed path in edge"],
    [
      `${core}/edge/a.ts`,
      'import { type Store } from "../store/index.ts";',
      "edge may take only types from store",
    ],

    // Optional peers and providers' SDKs.
    [`${core}/store/postgres/a.ts`, 'import pg from "pg";', "pg is an optional peer: load it with"],
    [`${core}/app/a.ts`, 'await import("pg");', "pg is an optional peer: only store/postgres"],
    [`${core}/store/redis/a.ts`, 'import "ioredis";', "ioredis is an optional peer: load it with"],
    [`${core}/durable/a.ts`, 'import "kysely";', "kysely is an optional peer: only kysely"],
    [`${core}/gateway/a.ts`, 'import "graphql";', "graphql is an optional peer: only graphql"],
    [`${core}/app/a.ts`, 'import "stripe";', "stripe is a provider's SDK"],
    [
      `${core}/app/a.ts`,
      'import "@slack/webhook/dist/x.js";',
      "@slack/webhook is a provider's SDK",
    ],
    [`${core}/features/uploads/a.ts`, 'import "@aws-sdk/client-s3";', "is a provider's SDK"],

    // Packages of this repository.
    [`${core}/app/a.ts`, 'import "@apiforge/testing";', "must not import @apiforge/testing"],
    [`${core}/app/a.ts`, 'import "apiforge/resilience";', "must not import apiforge/resilience"],
    [`${core}/app/a.ts`, 'import "../../test/x.ts";', "production code must not import"],
    [
      "packages/sandbox/src/a.ts",
      'import "apiforge";',
      "packages/sandbox must not import apiforge",
    ],
    [
      "packages/sandbox/src/a.ts",
      'import "@apiforge/connector-slack";',
      "packages/sandbox must not import @apiforge/connector-slack",
    ],
    [
      "packages/sandbox/src/a.ts",
      'import "../../apiforge/src/kernel/index.ts";',
      "belongs to another workspace",
    ],
    ["packages/sandbox/test/a.test.ts", 'import "../../apiforge/src/x.ts";', "another workspace"],
    ["packages/connector-slack/src/a.ts", 'import "apiforge";', "must not import apiforge"],
    [
      "packages/connector-slack/src/a.ts",
      'import "apiforge/internal/kernel";',
      "packages/connector-slack must not import apiforge/internal/kernel",
    ],
    [
      "examples/projects/src/a.ts",
      'import "apiforge/internal/store";',
      "must not import apiforge/",
    ],
    ["examples/projects/src/a.ts", 'import "@apiforge/testing";', "must not import @apiforge/test"],
    ["packages/newcomer/src/a.ts", "", "workspace packages/newcomer has no row"],
  ])("%s: %s", (path, source, complaint) => {
    const found = complaints(path, source);

    expect(found).toHaveLength(1);
    expect(found[0]).toContain(complaint);
  });
});

describe("allowed imports", () => {
  test.each<[path: string, source: string]>([
    [`${core}/kernel/a.ts`, 'import "node:fs"; import "./b.ts";'],
    [`${core}/resilience/a.ts`, 'import "../kernel/index.ts";'],
    [`${core}/store/sqlite/a.ts`, 'import "../contract.ts"; import "../../kernel/index.ts";'],
    [`${core}/store/postgres/a.ts`, 'import type { Client } from "pg"; await import("pg");'],
    [`${core}/durable/jobs/a.ts`, 'import "../../store/index.ts"; import "../events/b.ts";'],
    [`${core}/kysely/index.ts`, 'import { Kysely } from "kysely";'],
    [`${core}/edge/a.ts`, 'import type { Store } from "../store/index.ts"; import "fastify";'],
    [`${core}/features/search/a.ts`, 'import type { Route } from "../../edge/index.ts";'],
    [`${core}/app/a.ts`, 'import "../store/sqlite/index.ts"; import "../features/x/index.ts";'],
    [`${core}/app/a.ts`, "await import(configFile);"],
    [`${core}/cli/start.ts`, 'import "../app/index.ts"; import "../kernel/index.ts";'],
    [`${core}/index.ts`, 'export * from "./app/index.ts";'],
    ["packages/apiforge/test/kernel/a.test.ts", 'import "../../src/kernel/id.ts";'],
    ["packages/connector-slack/src/a.ts", 'import "apiforge/resilience"; import "@slack/webhook";'],
    ["packages/testing/src/a.ts", 'import "apiforge/internal/store"; import "pg";'],
    ["examples/projects/src/a.ts", 'import "apiforge"; import "@apiforge/connector-slack";'],
    [
      "examples/server/src/a.ts",
      'import "@apiforge/sandbox"; import "@apiforge/example-projects";',
    ],
    ["bench/post/a.ts", 'import "apiforge/internal/store"; import "../measure/b.ts";'],
  ])("%s: %s", (path, source) => {
    expect(complaints(path, source)).toEqual([]);
  });
});

describe("the program", () => {
  const sound = { [`${core}/kernel/clock.ts`]: 'import { setTimeout } from "node:timers";\n' };

  test("ends well on a sound tree", () => {
    using tree = plantTree(sound);

    expect(tree.run("scripts/boundaries/main.ts")).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("names file and line of a violation and ends badly", () => {
    using tree = plantTree({
      ...sound,
      [`${core}/kernel/id.ts`]: '\nimport { edge } from "../edge/index.ts";\n',
    });

    const { exitCode, stderr } = tree.run("scripts/boundaries/main.ts");

    expect(stderr).toBe(`${core}/kernel/id.ts: line 2: kernel must not import edge\n`);
    expect(exitCode).toBe(1);
  });

  test("ends badly where it finds nothing to check", () => {
    using tree = plantTree({});

    expect(tree.run("scripts/boundaries/main.ts").exitCode).toBe(1);
  });
});
