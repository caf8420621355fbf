import type { Clock, Metric } from "../../kernel/index.ts";
import type { Forked } from "./forked.ts";
import { mergeMetrics, type Measured } from "./merge-metrics.ts";

/** A process whose event loop stands still for longer is left out of a scrape. */
const answerWithinMs = 2_000;

/** The metrics of `processes` as those of one server; what does not answer within 2 s is not in them. */
export async function gatherMetrics(
  processes: readonly Forked[],
  clock: Clock,
): Promise<readonly Metric[]> {
  const late = Promise.withResolvers<undefined>();
  const timer = clock.after(answerWithinMs, () => late.resolve(undefined));
  const measured = await Promise.all(
    processes.map(async (forked): Promise<Measured | undefined> => {
      const metrics = await Promise.race([forked.measure(), late.promise]);
      return metrics && { process: forked.number, metrics };
    }),
  );
  timer.cancel();
  return mergeMetrics(measured.flatMap((each) => each ?? []));
}
