import type { Exchange } from "./exchange.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Route } from "./route.ts";

/**
 * The places of a request's way, in order; the order is the architecture. Up to `receive` the body
 * has not been read.
 */
export const stageOrder = [
  "guard",
  "correlate",
  "route",
  "version",
  "cors",
  "authenticate",
  "authorize",
  "admit",
  "receive",
  "validate",
  "idempotency",
  "backend",
] as const;
export type StageName = (typeof stageOrder)[number];

/** The last place before the body is read. */
export const lastEarlyStage: StageName = "receive";

/**
 * A stage's way in: refuses by throwing, answers by setting `exchange.answer`, else lets the next
 * stage go on. One that has nothing to wait for returns nothing, and costs no turn.
 */
export type Enter = (exchange: Exchange) => void | Promise<void>;

/**
 * A stage's way out, run for every answer of the route, errors included, in reverse order; so it may
 * run though its {@link Enter} did not. What it returns takes the answer's place.
 */
export type Leave = (exchange: Exchange, answer: Outgoing) => Outgoing | undefined | void;

/** What a stage does on one route. */
export interface Steps {
  readonly enter?: Enter;
  readonly leave?: Leave;
}

/**
 * A stage: asked once for each route what it does there. Undefined where it does nothing, which then
 * costs nothing. It is asked for `undefined` too, which stands for requests that no route answers.
 */
export type Stage = (route: Route | undefined) => Steps | undefined;

/** A stage with its place. */
export interface PlacedStage {
  readonly name: string;
  /** Runs right after this one. */
  readonly after: StageName;
  readonly stage: Stage;
}

const namePattern = /^[a-z][a-z0-9-]{0,63}$/;

/**
 * A stage of your own, right after one of {@link stageOrder}, for every route that `make` does not
 * answer undefined for.
 * @example stage("maintenance", "route", () => ({ enter: refuseDuringMaintenance }))
 * @throws {TypeError} for a name that is none, and for a place after the backend.
 */
export function stage(name: string, after: StageName, make: Stage): PlacedStage {
  if (!namePattern.test(name))
    throw new TypeError(`Stage ${name}: a name is made of a-z, 0-9 and -`);
  if (after === "backend") {
    throw new TypeError(
      `Stage ${name}: nothing runs after the backend; give it a way out (leave) instead`,
    );
  }
  return { name, after, stage: make };
}
