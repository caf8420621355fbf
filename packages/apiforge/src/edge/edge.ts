import { Server as NetServer } from "node:net";

import { capConnections } from "./guard/connection-cap.ts";
import type { Edge, EdgeChanges, EdgeOptions } from "./edge-options.ts";
import { openParts } from "./edge-parts.ts";
import { keepAliveTimeoutMs } from "./http-server.ts";
import { Http2Front } from "./http2/http2-front.ts";
import { RelayBackends } from "./relay-backends.ts";
import { prepareServing } from "./serving.ts";
import { renewTls } from "./tls.ts";

const closeDeadlineMs = 10_000;
/** Node closes idle connections a second after the time that it tells clients. */
const drainDeadlineMs = keepAliveTimeoutMs + 3_000;
const defaultMaxConnectionsPerAddress = 10_000;

/**
 * Builds the HTTP edge. Every answer carries `X-Request-Id`; every failure is the one error
 * envelope.
 * @throws for two routes of one method and path, or a schema that cannot be compiled.
 */
export function createEdge(given: EdgeOptions): Edge {
  const { clock } = given;
  const parts = openParts(given);
  const { closing, upgrades } = parts;
  let closed: Promise<void> | undefined;
  let draining: Promise<void> | undefined;
  const first = prepareServing(given, parts);
  let serving = first;
  const { server } = first.server;
  const backends = new RelayBackends(first.options.routes);
  upgrades.takes = first.takesWebSockets;
  upgrades.mount(server, (request, response) => serving.server.routing(request, response));
  const http2 = given.tls === undefined ? undefined : new Http2Front(clock, keepAliveTimeoutMs);
  http2?.mount(server, (request, response) => serving.server.routing(request, response));
  capConnections(server, given.maxConnectionsPerAddress ?? defaultMaxConnectionsPerAddress);

  const {
    stages: _stages,
    limits: _limits,
    cors: _cors,
    versions: _versions,
    api: _api,
    revision: _revision,
    ...lasting
  } = given;

  async function replace(changes: EdgeChanges): Promise<void> {
    const next = prepareServing(
      { ...lasting, verifier: serving.options.verifier, ...changes },
      parts,
      serving,
    );
    await next.server.ready();
    if (draining !== undefined || closing.signal.aborted) throw new TypeError("The server stops");
    next.limits.takeOver();
    upgrades.takes = next.takesWebSockets;
    server.requestTimeout = next.requestTimeoutMs;
    // One turn of the event loop: a request is given to the routes before or to these.
    server.removeAllListeners("request");
    server.on("request", (request, response) => next.server.routing(request, response));
    serving = next;
    backends.change(next.options.routes);
  }

  async function drain(): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const timer = clock.after(drainDeadlineMs, resolve);
    http2?.drain();
    server.removeAllListeners("request");
    server.on("request", (request, response) => {
      response.shouldKeepAlive = false;
      serving.server.routing(request, response);
    });
    // HTTP's own close would cut idle connections, on which a request may be under way.
    NetServer.prototype.close.call(server, () => resolve());
    await ended;
    timer.cancel();
  }

  async function close(): Promise<void> {
    const timer = clock.after(closeDeadlineMs, () => {
      server.closeAllConnections();
      upgrades.destroyAll();
      http2?.destroyAll();
    });
    try {
      http2?.close();
      // The first one has the port, the present one tells connections that they are to be closed.
      await Promise.all([...new Set([first, serving])].map((each) => each.server.close()));
      await backends.close();
      await serving.limits.close();
      await parts.usage?.flush();
      parts.lines?.flush();
      await given.reporter?.flush?.();
    } finally {
      timer.cancel();
    }
  }

  let changing = Promise.resolve();
  return {
    async listen({ port, host }) {
      backends.open();
      return { url: await first.server.listen({ port, host }) };
    },
    inject: (request) => serving.server.inject(request),
    renewTls: (material) => renewTls(server, material, given.certificates?.ca),
    replace(changes) {
      const done = changing.then(() => replace(changes));
      changing = done.catch(() => undefined);
      return done;
    },
    drain: () => (draining ??= drain()),
    close() {
      closing.abort();
      closed ??= close();
      return closed;
    },
  };
}
