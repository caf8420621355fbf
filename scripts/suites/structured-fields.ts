import { readFileSync } from "node:fs";
import { join } from "node:path";
import { request } from "node:http";

import { defineRoute } from "apiforge";

import { suiteFolder } from "./folder.ts";
import type { SuiteScore } from "./score.ts";
import { serve } from "./serve.ts";

interface FieldTest {
  readonly name: string;
  readonly raw: readonly string[];
  readonly header_type: string;
  readonly must_fail?: boolean;
  readonly can_fail?: boolean;
}

/** What the field's own definition asks of a String beyond being one. */
const keyPattern = /^"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}"$/;

/**
 * structured-field-tests for what we parse: the Strings, sent as `Idempotency-Key`. A String is to be
 * taken where it is a key (1 to 255 visible characters), everything that begins as a String and is
 * none is to be refused.
 */
export async function runStructuredFields(): Promise<SuiteScore> {
  const folder = suiteFolder("structured-field-tests", "github.com/httpwg/structured-field-tests");
  const tests = ["string.json", "string-generated.json"]
    .flatMap((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as FieldTest[])
    .filter(({ raw, header_type }) => header_type === "item" && raw[0]?.startsWith('"') === true);
  const route = defineRoute({
    method: "POST",
    path: "/",
    auth: "none",
    idempotency: "required",
    replies: { 204: null },
    handler: () => ({ status: 204 }),
  });
  await using server = await serve([route]);
  const failures: string[] = [];
  for (const test of tests) {
    const status = await send(server.url, test.raw);
    const isTaken = status === 204;
    const isKey = test.must_fail !== true && keyPattern.test(test.raw[0] ?? "");
    if (isTaken !== isKey) failures.push(`${test.name}: ${status}`);
  }
  return {
    suite: "structured-field-tests, Strings as Idempotency-Key",
    total: tests.length,
    failures,
  };
}

/** The status that the field's lines are answered with; 400 where no client can send them. */
function send(url: string, lines: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  try {
    const sent = request(url, { method: "POST", headers: { "idempotency-key": [...lines] } });
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", reject);
    sent.end();
  } catch {
    resolve(400);
  }
  return promise;
}
