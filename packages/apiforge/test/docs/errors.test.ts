import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { appErrors } from "../../src/app/index.ts";
import { durableErrors } from "../../src/durable/index.ts";
import { edgeErrors } from "../../src/edge/index.ts";
import { gatewayErrors } from "../../src/gateway/index.ts";
import { graphqlErrors } from "../../src/graphql/index.ts";
import type { ErrorDefinition } from "../../src/kernel/index.ts";
import { resilienceErrors } from "../../src/resilience/index.ts";
import { storeErrors } from "../../src/store/index.ts";

const page = new URL("../../../../docs/reference/errors.md", import.meta.url);

function documented(): Map<string, string> {
  const rows = readFileSync(page, "utf8").matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| /gm);
  return new Map(
    [...rows].map(([, code = "", status, retryable]) => [code, `${status} ${retryable}`]),
  );
}

function declared(): Map<string, string> {
  const tables: Readonly<Record<string, ErrorDefinition>>[] = [
    appErrors,
    durableErrors,
    edgeErrors,
    gatewayErrors,
    graphqlErrors,
    resilienceErrors,
    storeErrors,
  ];
  const rows = tables.flatMap((table) => Object.entries(table));
  return new Map(
    rows.map(([code, row]) => [code, `${row.status} ${row.retryable ? "yes" : "no"}`]),
  );
}

test("docs/reference/errors.md and the error tables name the same codes, statuses and retryability", () => {
  expect(Object.fromEntries(documented())).toEqual(Object.fromEntries(declared()));
});
