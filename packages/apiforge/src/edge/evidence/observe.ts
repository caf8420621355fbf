import type { Exchange } from "../exchange.ts";
import { http2ResponseOf } from "../http2/http2-response.ts";
import type { Outgoing } from "../outgoing.ts";
import type { Route } from "../route.ts";
import type { Stage } from "../stage.ts";

/** Milliseconds from any fixed instant, never going back; `performance.now` is one. */
export type Stopwatch = () => number;

// Not by its global name, which Node.js answers by a getter, at half the price of a reading.
const { performance } = globalThis;

export function systemStopwatch(): number {
  return performance.now();
}

/** One answer as it left. */
export interface Answered {
  readonly exchange: Exchange;
  readonly status: number;
  /** Of the body; of a streamed answer over HTTP/1.1 whatever went over the wire, head and framing included. */
  readonly bytes: number;
  /** From the first stage to the answer, or to the end of what was streamed. */
  readonly durationMs: number;
  readonly isReplay: boolean;
}

/** Looks at the requests of one route. */
export interface Observer {
  /** A request has come. */
  begin?(): void;
  /** It is answered: once for every {@link begin}. */
  end(answered: Answered): void;
}

/** Asked once for each route, as a stage is; undefined costs nothing there. */
export type ObserverOf = (route: Route | undefined) => Observer | undefined;

const ended = -1;

/**
 * The stage that tells observers of every answer, as the caller gets it: it stands first, so that it
 * is the last on the way out. Answers of no stage (health, documents) are not observed.
 */
export function observe(observersOf: readonly ObserverOf[], stopwatch: Stopwatch): Stage {
  return function observeOn(route) {
    const observers = observersOf.flatMap((of) => of(route) ?? []);
    if (observers.length === 0) return undefined;

    function begin(): void {
      for (const observer of observers) observer.begin?.();
    }

    function enter(exchange: Exchange): void {
      exchange.beganMs = stopwatch();
      // What no route answers may be answered by no stage either (health, documents), and never leave.
      if (route !== undefined) begin();
    }

    function end(
      exchange: Exchange,
      beganMs: number,
      { answer, isReplay }: Outgoing,
      bytes: number,
    ) {
      const durationMs = stopwatch() - beganMs;
      const answered = { exchange, status: answer.status, bytes, durationMs, isReplay };
      for (const observer of observers) observer.end(answered);
    }

    function leave(exchange: Exchange, leaving: Outgoing): void {
      // The router's own errors come without having passed a stage.
      if (exchange.beganMs === undefined) enter(exchange);
      const beganMs = exchange.beganMs ?? ended;
      // An answer that could not be written is followed by another one for the same request.
      if (beganMs === ended) return;
      exchange.beganMs = ended;
      if (route === undefined) begin();
      if (leaving.stream === undefined && leaving.selfWritten === undefined) {
        end(exchange, beganMs, leaving, exchange.bytesOf(leaving.answer.body));
        return;
      }
      const sentBefore = bytesWritten(exchange);
      // Not `once`, which wraps what it adds and takes it away again: a response closes once.
      exchange.reply.raw.on("close", () => {
        end(exchange, beganMs, leaving, bytesWritten(exchange) - sentBefore);
      });
    }

    return { enter, leave };
  };
}

function bytesWritten({ request, reply }: Exchange): number {
  return http2ResponseOf(reply.raw)?.bytesWritten ?? request.raw.socket.bytesWritten ?? 0;
}
