export { caller, expiredToken, type Caller } from "./callers.ts";
export { assertForeignRefused, assertOwned, type OwnedRows } from "./foreign.ts";
export { assertRefusals, refusalsOf, type Refusal } from "./refusals.ts";
export { routeName, servedRoutes, type RouteRun } from "./route-run.ts";
export { countRows } from "./row-counts.ts";
