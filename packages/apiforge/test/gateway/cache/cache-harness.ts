import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { stage, type EdgeOptions } from "../../../src/edge/index.ts";
import {
  responseCache,
  type ProxyOptions,
  type ResponseCache,
  type ResponseCacheOptions,
} from "../../../src/gateway/index.ts";
import { ManualClock } from "../../edge/edge-harness.ts";
import { startGateway, type GatewayHarness } from "../gateway-harness.ts";

export type Behave = (request: IncomingMessage, response: ServerResponse) => void;

/** A gateway with a cache in front of an upstream that does as a test says. */
export interface CachedGateway extends GatewayHarness {
  /** What freshness goes by. */
  readonly cacheClock: ManualClock;
  readonly cache: ResponseCache;
  /** What the upstream was asked, as `METHOD /path`. */
  readonly asked: IncomingMessage[];
  /** Requests that have passed the stages. */
  arrivals(): number;
  /** Changes what the upstream does. */
  behave(behave: Behave): void;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

export async function startCached(
  behave: Behave,
  options: {
    readonly cache?: Partial<ResponseCacheOptions>;
    readonly proxy?: Partial<ProxyOptions>;
    readonly edge?: Partial<EdgeOptions>;
  } = {},
): Promise<CachedGateway> {
  const asked: IncomingMessage[] = [];
  let behaviour = behave;
  const behind = createServer((request, response) => {
    asked.push(request);
    // Its clock is not the one that the test moves.
    response.sendDate = false;
    behaviour(request, response);
  }).listen(0, "127.0.0.1");
  await once(behind, "listening");
  const endpoint = `http://127.0.0.1:${(behind.address() as AddressInfo).port}`;
  const cacheClock = new ManualClock();
  const cache = responseCache({ clock: cacheClock, ...options.cache });
  let arrived = 0;
  const count = stage("count", "validate", () => ({ enter: () => void (arrived += 1) }));
  const gateway = await startGateway([endpoint], {
    proxy: { cache, ...options.proxy },
    upstreamOptions: { retry: { attempts: 1 } },
    edge: { stages: [count], ...options.edge },
  });
  return {
    ...gateway,
    cacheClock,
    cache,
    asked,
    arrivals: () => arrived,
    behave: (next) => {
      behaviour = next;
    },
    // Without it, fetch asks every cache for a new answer where there is a condition.
    get: (path, headers = {}) =>
      fetch(gateway.url + path, { headers: { "cache-control": "nothing", ...headers } }),
    stop: async () => {
      await gateway.stop();
      behind.closeAllConnections();
      behind.close();
    },
  };
}

/** Answers with these fields, and a number that grows with each answer as the body. */
export function counting(headers: Readonly<Record<string, string>>, status = 200): Behave {
  let count = 0;
  return (_request, response) => {
    count += 1;
    const body = String(count);
    response.writeHead(status, { "content-length": body.length, ...headers }).end(body);
  };
}
