import { createForge, defineJob, type Forge, type Transaction } from "apiforge";
import { z } from "zod";
import { bulks, type Engine, type EngineOptions } from "../engine.ts";

const actor = { tenant: "ten_bench", requestId: "req_bench" };

const unendedText = (unendedPacks: string): string =>
  `select n from forge_jobs where state in (1, 2) union all ${unendedPacks} limit 1`;
const unendedTexts = {
  sqlite: unendedText("select n from forge_job_packs where unended > 0"),
  postgres: unendedText(`select n from forge_job_packs where taken < count
    union all select n from forge_pack_leases`),
};

/** APIForge on the directory's SQLite file, or on the PostgreSQL of a `postgres://` address. */
export async function openApiforge(options: EngineOptions): Promise<Engine> {
  const { store, concurrency, onJob } = options;
  const noop = defineJob("noop", {
    input: z.object({ n: z.number() }),
    run: async () => onJob(),
  });
  const dialect = store.startsWith("postgres:") ? "postgres" : "sqlite";
  const place = dialect === "postgres" ? { databaseUrl: store } : { dataDir: store };
  const open = (jobConcurrency: number): Promise<Forge> =>
    createForge({ jobs: [noop] }, { config: { ...place, logLevel: "warn", jobConcurrency } });
  let forge = await open(0);
  let added = 0;
  const addTo = async (tx: Transaction, count: number): Promise<void> => {
    for (let index = 0; index < count; index++) await tx.enqueue(noop, { n: added++ });
  };
  const add = (count: number): Promise<void> =>
    forge.durable.transact("add jobs", actor, (tx) => addTo(tx, count));
  return {
    async addMany(count) {
      for (const size of bulks(count)) await add(size);
    },
    addOne: () => add(1),
    async start() {
      // A server runs jobs from the moment it is opened.
      await forge.stop();
      forge = await open(concurrency);
    },
    async isDrained() {
      const result = await forge.durable.read("count", ({ runner }) =>
        runner.queryText(unendedTexts[dialect], []),
      );
      return result.rows.length === 0;
    },
    close: () => forge.stop(),
  };
}
