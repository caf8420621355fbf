import type { Answer, ReceivedRequest } from "./exchange.ts";
import type { Html } from "./html.ts";

/** What a provider does with one request; `reset` breaks the connection without an answer. */
export type Reaction = "reset" | AnswerReaction;

/** An answer and when it is given. */
export interface AnswerReaction {
  readonly answer: Answer;
  /** Milliseconds between the request and its answer. */
  readonly delayMs: number;
  /** Called when the answer is given; not when the client is gone by then. */
  answered(): void;
}

/** Handlers of one control resource by method; they get the parsed JSON body and return JSON. */
export type ControlResource = Readonly<
  Partial<Record<"GET" | "PUT" | "DELETE", (body: unknown) => unknown>>
>;

/** A stand-in for one provider. Each has a folder of its own. */
export interface Provider {
  /** Its place in the control API: `/_sandbox/<name>/…`. */
  readonly name: string;
  /** True for the paths that are this provider's on the wire. */
  owns(path: string): boolean;
  receive(request: ReceivedRequest): Reaction;
  /** Control resources by name, such as `fault`. */
  readonly controls: Readonly<Record<string, ControlResource>>;
  /** Its part of the page, given the sandbox's own origin for the commands that it shows. */
  view(origin: string): Html;
  /** Ends what goes on by itself, such as callbacks; absent when nothing does. */
  stop?(): void;
}
