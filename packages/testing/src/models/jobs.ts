import type { StoreFixture } from "../contracts/index.ts";
import { jobsCommands } from "./jobs-commands.ts";
import { JobsModel } from "./jobs-model.ts";
import { checkCommands } from "./runs.ts";

/**
 * Does the same random things to a store of `fixture` and to {@link JobsModel}, and compares every
 * answer and, after each, every job.
 * @throws Error with the seed and the shortest list of commands that shows a difference.
 */
export async function checkJobsModel(fixture: StoreFixture, runs: number): Promise<void> {
  await using open = await fixture.open();
  let ids = 0;
  await checkCommands(
    jobsCommands,
    async () => {
      // One store serves all runs: opening one costs more than a run.
      await open.store.transact("empty", async (tx) => {
        await tx.queryText("delete from forge_jobs", []);
        await tx.queryText("delete from forge_workers", []);
        await tx.queryText("delete from forge_lanes", []);
        await tx.queryText("delete from forge_paused_queues", []);
      });
      return {
        model: new JobsModel(open.clock.now(), open.store.capabilities.singleProcess),
        real: { open, persistent: fixture.persistent, nextId: () => `job_${(ids += 1)}` },
      };
    },
    runs,
  );
}
