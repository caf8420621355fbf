import type { Store } from "apiforge/internal/store";

const jobs = "from forge_jobs job where job.queue = lane.queue and job.lane = lane.key and state";
const countersText = `select queue, key, running, waiting,
    (select count(*) ${jobs} = 2) as runs, (select count(*) ${jobs} = -1) as waits
  from forge_lanes lane`;
const astrayText = `select id from forge_jobs job where lane is not null and not exists
  (select 1 from forge_lanes lane where lane.queue = job.queue and lane.key = job.lane)`;

/** The first lane whose counters are not what its rows say, or job without its lane; undefined when there is none. */
export async function miscounted(store: Store): Promise<string | undefined> {
  const { value } = await store.transact("count lanes", async (tx) => ({
    lanes: (await tx.queryText(countersText, [])).rows,
    astray: (await tx.queryText(astrayText, [])).rows,
  }));
  const [job] = value.astray;
  if (job !== undefined) return `Job ${String(job["id"])} has no lane`;
  const wrong = value.lanes.find((lane) => {
    const isRight = Number(lane["running"]) === Number(lane["runs"]);
    return !isRight || Number(lane["waiting"]) !== Number(lane["waits"]);
  });
  return wrong === undefined ? undefined : `Lane miscounted: ${JSON.stringify(wrong)}`;
}
