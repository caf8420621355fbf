import { fileURLToPath } from "node:url";
import { freePort, startServer } from "../../measure/server-process.ts";
import { sqliteFile } from "./apiforge-effects.ts";
import { apiforgeSqlite, type ApiforgeStore } from "./apiforge.ts";
import type { ServerOptions, Target, TargetServer } from "./target.ts";

const entry = fileURLToPath(new URL("../bare/main.ts", import.meta.url));

/** The ceiling of one thread: the same rows, commits and syncs without anything that ours does besides. */
export const bareSqlite: Target = {
  name: "bare-sqlite",
  description:
    "Fastify and the rows of ours on SQLite: group commit and one sync, no authentication, validation, replay or undo.",
  durability: apiforgeSqlite.durability,
  async createStore() {
    const store = await apiforgeSqlite.createStore();
    return { ...store, startServer: (options) => startBare(store, options) };
  },
};

async function startBare(store: ApiforgeStore, options: ServerOptions): Promise<TargetServer> {
  if (store.database.dialect !== "sqlite") throw new Error("The store is not embedded.");
  // Ours makes the tables.
  const ours = await store.startServer(options);
  await ours.process.stop();
  const port = await freePort();
  const environment = { PORT: String(port), DATABASE: sqliteFile(store.database.directory) };
  const server = await startServer({ entry, readyText: "Bare ready on", environment });
  const { path, token } = ours;
  return { process: server, origin: `http://127.0.0.1:${port}`, path, token };
}
