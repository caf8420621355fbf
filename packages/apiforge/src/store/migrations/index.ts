import type { Migration } from "../contract.ts";
import { core } from "./0001-core.ts";
import { batches } from "./0003-batches.ts";

/** APIForge's own schema, in the order in which it is applied. */
export const coreMigrations: readonly Migration[] = [core, batches];
