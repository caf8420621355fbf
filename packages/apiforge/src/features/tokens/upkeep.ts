import { z } from "zod";

import {
  defineJob,
  defineSchedule,
  type JobDefinition,
  type Durable,
  type ScheduleDefinition,
  type Transaction,
} from "../../durable/index.ts";
import type { SigningKeys } from "./signing-keys.ts";
import type { Sessions } from "./sessions.ts";

/** Of one commit, so that sweeping never holds up other writers. */
const sweptRows = 500;

/** What the work of {@link tokenUpkeep} is done with. */
export interface UpkeepParts {
  readonly durable: Pick<Durable, "transact">;
  readonly keys: SigningKeys;
  readonly sessions: Sessions;
}

/** Work of every hour: the next signing key in time, and away with what nobody can use any more. */
export function tokenUpkeep(parts: () => UpkeepParts): {
  readonly jobs: readonly JobDefinition[];
  readonly schedules: readonly ScheduleDefinition[];
} {
  const job = defineJob("apiforge.tokens.upkeep", {
    input: z.object({}),
    queue: "apiforge",
    run: async ({ id: requestId, signal }) => {
      const { durable, keys, sessions } = parts();
      const commit = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
        durable.transact("token upkeep", { tenant: "system", requestId }, work);
      await commit((tx) => keys.maintain(tx));
      while (!signal.aborted) {
        if ((await commit((tx) => sessions.sweep(tx, sweptRows))) < sweptRows) return;
      }
    },
  });
  const schedule = defineSchedule("apiforge.tokens.upkeep", {
    cron: "17 * * * *",
    job,
    input: {},
    catchUp: "latest",
  });
  return { jobs: [job], schedules: [schedule] };
}
