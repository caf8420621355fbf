export type { PausePoint } from "./crash-point.ts";
export { openRaw, type RawDatabase, type RawParam, type RawRow } from "./raw-database.ts";
export {
  spawnProcess,
  spawnServer,
  type ProcessOptions,
  type ReadyServer,
  type ServerProcess,
} from "./server-process.ts";
