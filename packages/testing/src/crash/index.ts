export type { PausePoint } from "./crash-point.ts";
export {
  createDeployment,
  storeNames,
  type Deployment,
  type DeploymentOptions,
  type StartOptions,
  type StoreName,
  type TokenClaims,
} from "./deployment.ts";
export { eventually } from "./eventually.ts";
export {
  findBrokenPromises,
  findUnfinishedJobs,
  projectIdOf,
  type AcknowledgedProject,
  type InvariantOptions,
} from "./project-invariants.ts";
export { openRaw, type RawDatabase, type RawParam, type RawRow } from "./raw-database.ts";
export {
  startSandboxProcess,
  type SandboxProcess,
  type SlackDelivery,
  type SlackFault,
} from "./sandbox-process.ts";
export {
  spawnProcess,
  spawnServer,
  type ProcessOptions,
  type ReadyServer,
  type ServerProcess,
} from "./server-process.ts";
