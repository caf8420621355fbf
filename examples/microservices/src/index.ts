import { defineGrpc, defineProxy, type System, type Upstream } from "apiforge";

export { startPrices } from "./prices.ts";
export { ServiceTokens } from "./service-tokens.ts";
export { startStock } from "./stock.ts";
export type { Identity, RunningService } from "./identity.ts";

/** Where the services of the shop run. */
export interface ShopUpstreams {
  /** Speaks gRPC. */
  readonly stock: Upstream;
  /** Speaks Connect. */
  readonly prices: Upstream;
}

/** The gateway between the services of a shop and whoever calls them, each other included. */
export function shop({ stock, prices }: ShopUpstreams): System {
  return {
    routes: [
      ...defineGrpc({
        service: "shop.v1.Stock",
        upstream: stock,
        scopes: ["stock:reserve"],
        maxDeadlineMs: 10_000,
        summary: "Reserves articles",
      }),
      ...defineProxy({
        path: "/shop.v1.Prices/*",
        methods: ["POST"],
        upstream: prices,
        scopes: ["prices:read"],
        summary: "Says what articles cost",
      }),
    ],
  };
}
