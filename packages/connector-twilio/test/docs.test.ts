import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { twilioErrors } from "../src/index.ts";

const page = new URL("../../../docs/reference/twilio.md", import.meta.url);

test("docs/reference/twilio.md and the error table name the same codes, statuses and retryability", () => {
  const rows = readFileSync(page, "utf8").matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| /gm);
  const documented = [...rows].map(
    ([, code, status, retryable]) => `${code} ${status} ${retryable}`,
  );
  const declared = Object.entries(twilioErrors).map(
    ([code, row]) => `${code} ${row.status} ${row.retryable ? "yes" : "no"}`,
  );
  expect(documented.toSorted()).toEqual(declared.toSorted());
});
