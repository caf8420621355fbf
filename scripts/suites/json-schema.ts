import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { defineRoute, type Route } from "apiforge";
import { Type } from "typebox";

import { suiteFolder } from "./folder.ts";
import type { SuiteScore } from "./score.ts";
import { serve } from "./serve.ts";

interface Group {
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly {
    readonly description: string;
    readonly data: unknown;
    readonly valid: boolean;
  }[];
}

const remoteBase = "http://localhost:1234/draft2020-12/";

/**
 * JSON-Schema-Test-Suite, draft 2020-12, required tests: each schema is the body of a route, each
 * value is posted to it; a valid one is to be answered 204, an invalid one 400.
 */
export async function runJsonSchema(): Promise<SuiteScore> {
  const folder = suiteFolder(
    "JSON-Schema-Test-Suite",
    "github.com/json-schema-org/JSON-Schema-Test-Suite",
  );
  const remotes = readRemotes(join(folder, "remotes/draft2020-12"));
  const failures: string[] = [];
  let total = 0;
  const tests = join(folder, "tests/draft2020-12");
  for (const file of readdirSync(tests).filter((name) => name.endsWith(".json"))) {
    const groups = readJson(join(tests, file)) as readonly Group[];
    total += groups.reduce((sum, group) => sum + group.tests.length, 0);
    const found = await failuresOf(groups, remotes);
    failures.push(...found.map((failure) => `${file}: ${failure}`));
  }
  return { suite: "JSON-Schema-Test-Suite, draft2020-12, required", total, failures };
}

/** All groups on one server, or on a server each where a schema among them keeps it from starting. */
async function failuresOf(groups: readonly Group[], remotes: Remotes): Promise<string[]> {
  try {
    return await ask(groups, remotes);
  } catch (error) {
    const [group] = groups;
    if (groups.length > 1 || group === undefined) {
      const each = await sequentially(groups, (one) => failuresOf([one], remotes));
      return each.flat();
    }
    const reason = error instanceof Error ? error.message : String(error);
    return group.tests.map((test) => `${group.description}: ${test.description}: ${reason}`);
  }
}

async function ask(groups: readonly Group[], remotes: Remotes): Promise<string[]> {
  const routes = groups.map((group, index) => routeOf(group, index, remotes));
  await using server = await serve(routes);
  const answers = await sequentially(groups, async (group, index) => {
    const wrong: string[] = [];
    for (const { description, data, valid } of group.tests) {
      const status = await post(`${server.url}/group-${index}`, data);
      const expected = valid ? 204 : 400;
      if (status !== expected) {
        wrong.push(`${group.description}: ${description}: ${status} instead of ${expected}`);
      }
    }
    return wrong;
  });
  return answers.flat();
}

async function post(url: string, data: unknown): Promise<number> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(data),
  });
  await response.arrayBuffer();
  return response.status;
}

function routeOf({ schema }: Group, index: number, remotes: Remotes): Route {
  return defineRoute({
    method: "POST",
    path: `/group-${index}`,
    auth: "none",
    unknownFields: "keep",
    body: Type.Unsafe(bundled(schema, remotes)),
    replies: { 204: null },
    handler: () => ({ status: 204 }),
  });
}

type Remotes = ReadonlyMap<string, object>;

/** A schema with the remote ones that it may refer to: a compound document (JSON Schema 2020-12, section 9.3.1). */
function bundled(schema: unknown, remotes: Remotes): object {
  if (typeof schema !== "object" || schema === null) return schema === true ? {} : { not: {} };
  if (!JSON.stringify(schema).includes(remoteBase)) return schema;
  const definitions: unknown = Reflect.get(schema, "$defs");
  return { ...schema, $defs: { ...Object(definitions), ...Object.fromEntries(remotes) } };
}

function readRemotes(folder: string): Remotes {
  const remotes = new Map<string, object>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    // Meta-schemas are no part of a document.
    if (!name.endsWith(".json") || name.startsWith("metaschema")) continue;
    const url = new URL(name, remoteBase).href;
    remotes.set(url, { $id: url, ...Object(readJson(join(folder, name))) });
  }
  return remotes;
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}

async function sequentially<T, R>(
  values: readonly T[],
  work: (value: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (const [index, value] of values.entries()) results.push(await work(value, index));
  return results;
}
