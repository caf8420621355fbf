import fc from "fast-check";
import { expect, test } from "vitest";

import { exactRuns, resolutionOf, WindowTable } from "../../../src/edge/limits/window-table.ts";

const windowMs = 1_000;

type Step =
  | { readonly kind: "request"; readonly subject: string }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "clock back"; readonly ms: number }
  | { readonly kind: "give back" };

const subjects = fc.constantFrom("a", "b", "c", "d", "e");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("request" as const), subject: subjects }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(0, 1, 7, 8, 250, windowMs - 1, windowMs, windowMs + 1, 3 * windowMs),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("clock back" as const), ms: fc.nat(5_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("give back" as const) }) },
);

interface Admitted {
  readonly subject: string;
  readonly atMs: number;
}

/** What really happened, by a clock that only goes on; the table may be told a time before it. */
class World {
  readonly admitted: Admitted[] = [];
  realMs = 0;
  behindMs = 0;

  get toldMs(): number {
    return this.realMs - this.behindMs;
  }

  within(subject: string, sinceMs: number): number {
    return this.admitted.filter((one) => one.subject === subject && one.atMs > sinceMs).length;
  }
}

function play(
  table: WindowTable,
  steps: readonly Step[],
  check: (subject: string, admitted: boolean, world: World) => void,
): void {
  const world = new World();
  let last: { subject: string; receipt: number } | undefined;
  for (const each of steps) {
    if (each.kind === "wait") world.realMs += each.ms;
    else if (each.kind === "clock back") world.behindMs += each.ms;
    else if (each.kind === "give back") {
      if (last === undefined) continue;
      table.giveBack(last.subject, last.receipt);
      world.admitted.pop();
      last = undefined;
    } else {
      const admitted = table.look(each.subject, world.toldMs).remaining > 0;
      check(each.subject, admitted, world);
      last = undefined;
      if (!admitted) continue;
      last = { subject: each.subject, receipt: table.take(each.subject, world.toldMs) };
      world.admitted.push({ subject: each.subject, atMs: world.realMs });
    }
  }
}

test.each([1, 2, 5, exactRuns + 1])(
  "a limit of %i is never passed in any window: whatever the order, the clock and the room for subjects",
  (limit) => {
    const maxSubjects = fc.constantFrom(1, 2, 100);
    const burst = fc.array(step, { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(maxSubjects, burst, (most, steps) => {
        const many =
          limit > exactRuns ? steps.flatMap((one) => Array.from({ length: 9 }, () => one)) : steps;
        play(
          new WindowTable({ limit, windowMs, maxSubjects: most }),
          many,
          (subject, admitted, world) => {
            // Admitted now means: with this one, no more than the limit in the window that ends here.
            if (admitted)
              expect(world.within(subject, world.realMs - windowMs)).toBeLessThan(limit);
          },
        );
      }),
      { numRuns: 150 },
    );
  },
);

test.each([1, 3, exactRuns, exactRuns + 50])(
  "a limit of %i refuses nobody who has something left, by more than the resolution of its window",
  (limit) => {
    const resolutionMs = resolutionOf(limit, windowMs);
    const forward = fc.array(
      step.filter(({ kind }) => kind !== "clock back"),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(forward, (steps) => {
        const many =
          limit >= exactRuns ? steps.flatMap((one) => Array.from({ length: 9 }, () => one)) : steps;
        play(new WindowTable({ limit, windowMs }), many, (subject, admitted, world) => {
          const spent = world.within(subject, world.realMs - windowMs - resolutionMs);
          if (!admitted) expect(spent).toBeGreaterThanOrEqual(limit);
        });
      }),
      { numRuns: 150 },
    );
  },
);

test("the reset is the instant from which one more is admitted", () => {
  const table = new WindowTable({ limit: 2, windowMs });
  table.take("a", 100);
  table.take("a", 400);
  expect(table.look("a", 500)).toEqual({ remaining: 0, resetInMs: 600 });
  expect(table.look("a", 1_099)).toEqual({ remaining: 0, resetInMs: 1 });
  expect(table.look("a", 1_100)).toEqual({ remaining: 1, resetInMs: 300 });
});

test("subjects of which nothing counts any more make room", () => {
  const table = new WindowTable({ limit: 1, windowMs });
  for (let n = 0; n < 20_000; n++) table.take(`subject-${n}`, n);
  expect(table.size).toBeLessThan(3 * windowMs);
});
