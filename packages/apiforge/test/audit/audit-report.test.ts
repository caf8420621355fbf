import { expect, test } from "vitest";

import { describeReport } from "../../src/cli/audit-report.ts";

test("a row that somebody inserted writes no line of the report, nor moves the cursor", () => {
  const lines = "aud_1\naudit log intact: 9 entries sealed";
  for (const id of [lines, "\u001b[2K\u001b[A", "\u009b2K", "\u202e", "x".repeat(5_000)]) {
    for (const kind of ["never_sealed", "altered"] as const) {
      const text = describeReport({ intact: false, fault: { kind, position: 3, n: 3, id } });
      expect(text).toMatch(/^audit log BROKEN: entry "[\x20-\x7e]{1,400}" \(row 3\) [\x20-\x7e]+$/);
    }
  }
});

test("a chain of one entry is told as one", () => {
  const anchor = { position: 1, hash: "0".repeat(64) };
  const report = { intact: true, sealed: 1, unsealed: 0, anchor } as const;
  expect(describeReport(report)).toBe(
    `audit log intact: 1 entry sealed, 0 waiting for their seal\nanchor 1:${anchor.hash}`,
  );
});
