import type { StoreFixture } from "../contracts/index.ts";
import { IdempotencySystem, idempotencyCommands } from "./idempotency-commands.ts";
import { IdempotencyModel } from "./idempotency-model.ts";
import { checkCommands } from "./runs.ts";

/**
 * Sends the same random requests to two durable cores over one store of `fixture`, with commits
 * that fail and processes that end, and to {@link IdempotencyModel}; compares every answer and,
 * after each, what is there of its effects.
 * @throws Error with the seed and the shortest list of commands that shows a difference.
 */
export async function checkIdempotencyModel(fixture: StoreFixture, runs: number): Promise<void> {
  await using open = await fixture.open();
  let handlers = 0;
  await checkCommands(
    idempotencyCommands,
    async () => {
      // One store serves all runs: opening one costs more than a run.
      await open.store.transact("empty", async (tx) => {
        for (const table of ["forge_idempotency", "forge_events", "forge_jobs", "note"]) {
          await tx.queryText(`delete from ${table}`, []);
        }
      });
      const real = new IdempotencySystem(open, fixture.persistent);
      real.runs = handlers += 1_000;
      return { model: new IdempotencyModel(open.clock.now()), real };
    },
    runs,
  );
}
