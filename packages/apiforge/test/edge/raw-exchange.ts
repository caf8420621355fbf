import { once } from "node:events";
import { connect } from "node:net";

/** Sends bytes on a connection of their own; answers everything that comes until the server closes it. */
export async function rawExchange(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const received: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk));
  socket.write(bytes, "latin1");
  await once(socket, "close");
  return Buffer.concat(received).toString("utf8");
}
