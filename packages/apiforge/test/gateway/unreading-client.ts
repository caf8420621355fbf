import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Server, ServerResponse } from "node:http";
import { Duplex } from "node:stream";

/** A client that asks and never reads: unlike a real connection it has no buffers of the system's. */
export function unreadingClient(path: string): Duplex {
  return asking(path, new Duplex({ read: () => undefined, write: () => undefined }));
}

/** A client that asks and reads at once. */
export function readingClient(path: string): Duplex {
  const write = (_chunk: unknown, _encoding: string, done: () => void): void => done();
  return asking(path, new Duplex({ read: () => undefined, write }));
}

function asking(path: string, client: Duplex): Duplex {
  client.push(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return client;
}

/** What servers of this process begin to answer. */
export interface WatchedServers extends Disposable {
  /** By path, in their order. */
  responses(path: string): readonly ServerResponse[];
  /** The one that was asked for a path last. */
  server(path: string): Server;
}

export function watchServers(): WatchedServers {
  const seen: { readonly server: Server; readonly response: ServerResponse }[] = [];
  const note = (message: unknown): void => void seen.push(message as (typeof seen)[number]);
  subscribe("http.server.request.start", note);
  const of = (path: string) => seen.filter(({ response }) => response.req.url === path);
  return {
    responses: (path) => of(path).map(({ response }) => response),
    server(path) {
      const last = of(path).at(-1);
      if (last === undefined) throw new Error(`Nobody asked for ${path}`);
      return last.server;
    },
    [Symbol.dispose]: () => void unsubscribe("http.server.request.start", note),
  };
}
