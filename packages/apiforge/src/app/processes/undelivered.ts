import type { Worker } from "node:cluster";

/** What Node sends to a process with a connection, and the answer to it, as far as it is looked at. */
interface ClusterMessage {
  readonly act?: unknown;
  readonly seq?: unknown;
  readonly ack?: unknown;
}

interface Connection {
  close(): void;
}

/**
 * Closes the connection that was on its way to `worker` when that ended. Node waits for ever for a word of the
 * process that it handed a connection to, with the connection open: its client would be neither answered nor cut.
 */
export function closeUndelivered(worker: Worker): void {
  const { process: child } = worker;
  const underWay = new Map<unknown, Connection>();
  const send = child.send.bind(child);
  function watchedSend(...args: Parameters<typeof send>): boolean {
    const [message, handle] = args;
    if (isClusterMessage(message) && message.act === "newconn" && isConnection(handle))
      underWay.set(message.seq, handle);
    return send(...args);
  }
  Object.assign(child, { send: watchedSend });
  child.on("internalMessage", (message: unknown) => {
    if (isClusterMessage(message)) underWay.delete(message.ack);
  });
  worker.once("exit", () => {
    for (const connection of underWay.values()) connection.close();
  });
}

function isClusterMessage(message: unknown): message is ClusterMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "cmd" in message &&
    message.cmd === "NODE_CLUSTER"
  );
}

function isConnection(handle: unknown): handle is Connection {
  return (
    typeof handle === "object" &&
    handle !== null &&
    "close" in handle &&
    typeof handle.close === "function"
  );
}
