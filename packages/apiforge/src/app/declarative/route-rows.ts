import type { CompiledGateway } from "./compile.ts";
import { backendText, callerOf, limitText } from "./describe-route.ts";

/** A path of the route table, with the methods that are served alike. */
export interface RouteRow {
  readonly methods: readonly string[];
  readonly path: string;
  readonly backend: string;
  readonly caller: string;
  readonly limits: readonly string[];
}

/** The route table of a gateway, in the order of its configuration. */
export function routeRows(gateway: CompiledGateway): RouteRow[] {
  const rows = new Map<string, RouteRow & { readonly methods: string[] }>();
  for (const route of gateway.routes) {
    const row = {
      path: route.path,
      backend: backendText(route, gateway),
      caller: callerOf(route),
      limits: route.limits.map(limitText),
    };
    const key = JSON.stringify(row);
    const same = rows.get(key);
    if (same === undefined) rows.set(key, { methods: [route.method], ...row });
    else same.methods.push(route.method);
  }
  return [...rows.values()];
}
