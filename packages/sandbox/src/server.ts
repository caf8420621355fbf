import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { answerControl, isControlPath } from "./control.ts";
import {
  jsonAnswer,
  maxBodyBytes,
  readRequest,
  sendAnswer,
  textAnswer,
  type Answer,
  type ReceivedRequest,
} from "./exchange.ts";
import { pageAnswer } from "./page.ts";
import type { AnswerReaction, Provider } from "./provider.ts";
import { createInbox } from "./inbox/inbox.ts";
import { createMail } from "./mail/mail.ts";
import { createSlack } from "./slack/slack.ts";
import { createTwilio } from "./twilio/twilio.ts";

/** Where the sandbox listens and whose time it shows. */
export interface SandboxOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default `127.0.0.1`: reachable from this machine only. */
  readonly host?: string;
  /** Epoch milliseconds; default the machine's clock. */
  readonly now?: () => number;
}

/** A running sandbox. */
export interface Sandbox {
  /** Its origin, such as `http://127.0.0.1:4001`. */
  readonly url: string;
  /** Stops listening and ends every connection, answered or not. */
  stop(): Promise<void>;
}

/**
 * Starts the stand-ins of all providers on one port: their own paths on the wire, the control API
 * under `/_sandbox/`, and a page of what arrived at `/`. Mail is taken at a port of its own.
 * @throws the error of `listen`, for example EADDRINUSE.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { port = 0, host = "127.0.0.1", now = Date.now } = options;
  const providers: readonly Provider[] = [
    createSlack(now),
    createTwilio(now),
    createInbox({ name: "sms", title: "Text messages" }, now),
    createInbox({ name: "crm", title: "CRM" }, now),
    await createMail(host, now),
  ];
  const server = createServer((request, response) => {
    // A request that cannot be read ends with its connection; there is nobody to tell.
    serve(request, response, providers).catch(() => request.socket.destroy());
  });
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    for (const provider of providers) provider.stop?.();
    throw error;
  }
  return {
    url: originOf(server.address()),
    async stop() {
      const closed = once(server, "close");
      server.close();
      for (const provider of providers) provider.stop?.();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  message: IncomingMessage,
  response: ServerResponse,
  providers: readonly Provider[],
): Promise<void> {
  const request = await readRequest(message);
  if (request === undefined) {
    return sendAnswer(response, textAnswer(413, `Bodies of up to ${maxBodyBytes} bytes are read`));
  }
  const provider = providers.find((candidate) => candidate.owns(request.path));
  if (provider === undefined) {
    return sendAnswer(response, ownAnswer(request, providers, originOf(message.socket.address())));
  }
  const reaction = provider.receive(request);
  if (reaction === "reset") message.socket.resetAndDestroy();
  else answerLater(response, reaction);
}

function ownAnswer(
  request: ReceivedRequest,
  providers: readonly Provider[],
  origin: string,
): Answer {
  if (isControlPath(request.path)) return answerControl(request, providers);
  if (request.path === "/" && request.method === "GET") return pageAnswer(providers, origin);
  return jsonAnswer(404, {
    error: "Nothing here; the page is at / and the control API at /_sandbox/",
  });
}

function answerLater(response: ServerResponse, reaction: AnswerReaction): void {
  const timer = setTimeout(() => {
    reaction.answered();
    sendAnswer(response, reaction.answer);
  }, reaction.delayMs);
  response.on("close", () => clearTimeout(timer));
}

function originOf(address: string | object | null): string {
  if (address === null || typeof address === "string" || !isAddress(address)) {
    throw new TypeError("The sandbox listens on a TCP port only");
  }
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

function isAddress(address: object): address is { family: string; address: string; port: number } {
  return "family" in address && "address" in address && "port" in address;
}
