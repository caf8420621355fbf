import type { ServerResponse } from "node:http";

import type { Exchange } from "./exchange.ts";
import type { Outgoing } from "./outgoing.ts";

/** How a {@link Relay} ends what it has begun; one of them, once for each request. */
export interface Responder {
  /** Sends through the stages' ways out. */
  answer(exchange: Exchange, outgoing: Outgoing): void;
  /** Answers with the error envelope. */
  refuse(exchange: Exchange, error: unknown): void;
}

/** What relays work with and a server keeps open: opened once by each server, and closed with it. */
export interface RelayBackend {
  /** What it stands for together, of which a server opens and closes each by itself. */
  readonly members?: readonly RelayBackend[];
  /** The server begins to listen. */
  open(): void;
  /** Resolves when none of its requests is under way: asked before it is closed while its server goes on. */
  idle?(): Promise<void>;
  /** It has stopped, and no connection to it is left. */
  close(): Promise<void>;
}

/** What requests under idempotency keys mean to whoever a {@link Relay} asks. */
export interface RelayKeys {
  /** Asking twice under one key is asking once. */
  readonly areKnown: boolean;
  /** The error of a request that was asked for under the same key before, and never answered. */
  unknownOutcome(): Error;
}

/** Answers the requests of a route in its own time, in the place of a handler. */
export interface Relay {
  readonly backend: RelayBackend;
  /** It answers requests for a WebSocket with 101; the request's connection is then its own. */
  readonly takesWebSockets: boolean;
  /** It answers calls of gRPC: what comes as JSON is a call by Connect. */
  readonly takesCalls?: boolean;
  /** Where its route takes idempotency keys. */
  readonly keys?: RelayKeys;
  /** Every stage has let the request pass. Must not throw. */
  begin(exchange: Exchange, responder: Responder): void;
}

/** The end of this turn of the event loop, at which answers leave together. */
export interface AnswerTurn {
  add(send: () => void): void;
}

/** An answer that writes itself, head and body. */
export interface SelfWritten {
  /**
   * @param headers what stages have put on the answer, flat as `[name, value, …]`, names in lower case; these win over fields that the answer has of its own.
   * @param isLast the connection is to be closed after it.
   */
  write(
    response: ServerResponse,
    headers: readonly string[],
    isLast: boolean,
    turn: AnswerTurn,
  ): void;
}
