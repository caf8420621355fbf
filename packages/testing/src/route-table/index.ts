export { validToken, type Caller } from "./callers.ts";
export { assertForeignRefused, assertOwned, type OwnedRows } from "./foreign.ts";
export { assertRefusals, refusalsOf } from "./refusals.ts";
export { routeName, servedRoutes, type RouteRun } from "./route-run.ts";
