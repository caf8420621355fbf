import { describe, expect, test } from "vitest";
import { Labels } from "../../src/store/postgres/labels.ts";
import { isPlain } from "../../src/store/postgres/plain-statement.ts";

/** Quick runs until `label` is quick. */
function runsNeeded(labels: Labels, label: string): number {
  let runs = 0;
  for (; !labels.isQuick(label); runs++) labels.observe(label, "quick");
  return runs;
}

describe("a label", () => {
  test("is quick after so many quick runs in a row", () => {
    const labels = new Labels(3);
    expect(runsNeeded(labels, "a")).toBe(3);
    labels.observe("a", undefined);
    expect(labels.isQuick("a")).toBe(true);
    labels.observe("a", "slow");
    expect(runsNeeded(labels, "a")).toBe(3);
    labels.observe("b", "quick");
    labels.observe("b", "slow");
    expect(runsNeeded(labels, "b")).toBe(3);
  });

  test("has to show twice as much after each unfit run, within bounds", () => {
    const labels = new Labels(3);
    for (const runs of [6, 12, 24]) {
      labels.observe("a", "unfit");
      expect(runsNeeded(labels, "a")).toBe(runs);
    }
    for (let n = 0; n < 100; n++) labels.observe("a", "unfit");
    expect(runsNeeded(labels, "a")).toBe(256);
  });

  test("is forgotten when a thousand others came after it", () => {
    const labels = new Labels(1);
    labels.observe("a", "quick");
    for (let n = 0; n < 999; n++) labels.observe(`label ${n}`, "quick");
    expect(labels.isQuick("a")).toBe(true);
    labels.observe("one more", "quick");
    expect(labels.isQuick("a")).toBe(false);
  });
});

describe("a statement", () => {
  test.for([
    "insert into note values (1)",
    "  UPDATE note SET body = ''",
    "\n delete from note where returned",
  ])("is plain: %s", (text) => {
    expect(isPlain({ text, values: [] })).toBe(true);
  });

  test.for([
    "select 1",
    "with one as (select 1) insert into note select * from one",
    "insert into note values (1) RETURNING id",
    "insert into note select set_config('role', 'x', true)",
    "set local role x",
    "lock table note",
    "inserted",
    "/* first */ insert into note values (1)",
  ])("is not plain: %s", (text) => {
    expect(isPlain({ text, values: [] })).toBe(false);
  });
});
