import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";

import type { Metric, MetricSource } from "../../../kernel/index.ts";
import { edgeError } from "../../errors.ts";
import { expositionType, renderMetrics } from "./exposition.ts";

/** Who may read `/metrics`, and what else it tells. */
export interface MetricsOptions {
  /**
   * Asked for as a bearer token. Without one, only a caller on this machine is answered that no
   * proxy speaks for.
   */
  readonly token?: string;
  /** Besides requests and the process. */
  readonly sources?: readonly MetricSource[];
  /** Where several processes serve one address; default this one tells its own. */
  readonly processes?: MetricsOfProcesses;
}

/** Has one of several processes tell the metrics of all. */
export interface MetricsOfProcesses {
  /** Has `read` called when any of them is asked; the latest one counts. */
  offerMetrics(read: () => Promise<readonly Metric[]>): void;
  /** What all offer. */
  gatherMetrics(): Promise<readonly Metric[]>;
}

const loopback = /^(?:127\.|::1$|::ffff:127\.)/;
/** A proxy on this machine calls from loopback for everybody. */
const proxyHeaders = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/** `GET /metrics` in Prometheus' text format. Scrapes that overlap share one reading of the sources. */
export function mountMetrics(
  server: FastifyInstance,
  sources: readonly MetricSource[],
  { token, processes }: MetricsOptions,
): void {
  let reading: Promise<string> | undefined;
  async function readOwn(): Promise<readonly Metric[]> {
    return (await Promise.all(sources.map(async (source) => source()))).flat();
  }
  processes?.offerMetrics(readOwn);
  async function read(): Promise<string> {
    return renderMetrics(await (processes?.gatherMetrics() ?? readOwn()));
  }
  server.get("/metrics", async (request, reply) => {
    requireReader(request, token);
    reading ??= read().finally(() => (reading = undefined));
    const text = await reading;
    return reply
      .header("content-type", expositionType)
      .header("cache-control", "no-store")
      .send(text);
  });
}

function requireReader(request: FastifyRequest, token: string | undefined): void {
  if (token !== undefined) return requireToken(request.headers.authorization, token);
  const isProxied = proxyHeaders.some((name) => request.headers[name] !== undefined);
  if (!isProxied && loopback.test(request.ip)) return;
  throw edgeError(
    "forbidden",
    "Metrics are read on this machine, or with the token that is set for them",
  );
}

function requireToken(header: string | undefined, token: string): void {
  if (header === undefined)
    throw edgeError("missing_token", "Send the metrics token as a bearer token");
  const given = /^bearer +(\S+) *$/i.exec(header)?.[1] ?? "";
  if (!timingSafeEqual(digest(given), digest(token))) {
    throw edgeError("invalid_token", "This is not the metrics token");
  }
}

// Of equal length, which the comparison needs, whatever was given.
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
