import type { Deployment, RawDatabase } from "@apiforge/testing";

/** What is wrong with the batches of a `servers/batch-server.ts`; nothing when every promise holds. */
export function findBrokenBatches(deployment: Deployment): Promise<string[]> {
  // At one instant: servers are at work, and a PostgreSQL on what a dead one has sent.
  return deployment.inspect((raw) =>
    raw.snapshot(async () => {
      const batches = await raw.all("select * from forge_batches where state > 0");
      const broken = await Promise.all(batches.map((batch) => brokenPromises(raw, batch)));
      return broken.flat();
    }),
  );
}

/** Whether every batch that is visible has ended, and there is one. */
export function haveBatchesEnded(deployment: Deployment): Promise<boolean> {
  return deployment.inspect(async (raw) => {
    const rows = await raw.all("select state from forge_batches where state > 0");
    return rows.length > 0 && rows.every(({ state }) => Number(state) > 2);
  });
}

type Outcome = readonly [kind: number, ...rest: unknown[]] | null;

async function brokenPromises(
  raw: RawDatabase,
  batch: Readonly<Record<string, unknown>>,
): Promise<string[]> {
  const id = String(batch["id"]);
  const chunks = await raw.all(
    `select chunk.position, chunk.item_count, outcome.outcomes, outcome.closed
     from forge_batch_chunks chunk left join forge_batch_outcomes outcome
       on outcome.batch_id = chunk.batch_id and outcome.position = chunk.position
     where chunk.batch_id = $1 order by chunk.position`,
    [id],
  );
  const outcomes = chunks.flatMap(outcomesOf);
  const broken: string[] = [];
  const check = (what: string, actual: unknown, expected: unknown): void => {
    if (actual !== expected)
      broken.push(`${id}: ${what} ${String(actual)}, not ${String(expected)}`);
  };
  const succeeded = outcomes.filter((outcome) => outcome?.[0] === 1).length;
  const failed = outcomes.filter((outcome) => outcome?.[0] === 2).length;
  check("total", Number(batch["total"]), outcomes.length);
  check("succeeded", Number(batch["succeeded"]), succeeded);
  check("failed", Number(batch["failed"]), failed);
  const closed = chunks.filter((chunk) => Number(chunk["closed"] ?? 0) === 1).length;
  check("closed chunks", Number(batch["closed_chunks"]), closed);
  const counted = await raw.all("select n, status from counted");
  check("items told of", counted.length, succeeded + failed);
  for (const { n, status } of counted) {
    const kind = outcomes[Number(n)]?.[0];
    check(`item ${String(n)}`, kind === 1 ? "succeeded" : "failed", status);
  }
  if (Number(batch["state"]) > 2) {
    check("items that have ended", succeeded + failed, outcomes.length);
    for (const [n, outcome] of outcomes.entries()) check(`end of ${n}`, outcome?.[0], kindOf(n));
  }
  return broken;
}

/** How item `n` ends, as the server says. */
function kindOf(n: number): number {
  return n % 10 === 3 ? 2 : 1;
}

function outcomesOf(chunk: Readonly<Record<string, unknown>>): Outcome[] {
  const { outcomes } = chunk;
  if (typeof outcomes === "string") return JSON.parse(outcomes) as Outcome[];
  return Array.from({ length: Number(chunk["item_count"]) }, () => null);
}
