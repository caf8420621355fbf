import type { StoreFixture } from "../contracts/index.ts";
import { jobsCommands } from "./jobs-commands.ts";
import { JobsModel } from "./jobs-model.ts";
import { checkCommands } from "./runs.ts";

const rowTables = ["forge_jobs", "forge_workers", "forge_lanes", "forge_paused_queues"] as const;
/** Where a store of each dialect keeps jobs and what decides about them. */
const jobTables = {
  postgres: [...rowTables, "forge_job_packs", "forge_pack_leases", "forge_pack_ends"],
  sqlite: [
    ...rowTables,
    "forge_job_packs",
    "forge_pack_items",
    "forge_pack_leases",
    "forge_pack_ends",
  ],
} as const;

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
        for (const table of jobTables[open.store.dialect]) {
          await tx.queryText(`delete from ${table}`, []);
        }
      });
      return {
        model: new JobsModel(open.clock.now(), open.store.capabilities.singleProcess),
        real: { open, persistent: fixture.persistent, nextId: () => `job_${(ids += 1)}` },
      };
    },
    runs,
  );
}
