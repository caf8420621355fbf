import type { OpenEngine } from "../engine.ts";
import { openApiforge } from "./apiforge.ts";
import { openBullmq } from "./bullmq.ts";
import { openGraphile, openGraphileBatched } from "./graphile.ts";
import { openPgBoss } from "./pg-boss.ts";

/** Opens each engine by its name. */
export const engines: ReadonlyMap<string, OpenEngine> = new Map([
  ["apiforge", openApiforge],
  ["bullmq", openBullmq],
  ["graphile", openGraphile],
  ["graphile-batched", openGraphileBatched],
  ["pg-boss", openPgBoss],
]);
