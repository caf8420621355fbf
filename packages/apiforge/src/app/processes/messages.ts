import type { Metric } from "../../kernel/index.ts";

/** What a supervisor asks of a process that it started; see {@link WorkerLink}. */
export type Order =
  /** Take no new connections, end in order when the open ones have ended. */
  | { readonly kind: "drain" }
  /** End in order now. */
  | { readonly kind: "stop" }
  /** Tell your own metrics, in a `measured` of the same number. */
  | { readonly kind: "measure"; readonly id: number }
  /** The answer to a {@link Question} of the same number. */
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown };

/** What a process asks its supervisor. */
export type Question =
  /** The metrics of all processes. */
  | { readonly kind: "metrics" }
  /** The number of the revision that a configuration of this digest is. */
  | { readonly kind: "revision"; readonly digest: string };

/** What a process tells its supervisor. */
export type Report =
  | { readonly kind: "serving"; readonly url: string }
  | { readonly kind: "measured"; readonly id: number; readonly metrics: readonly Metric[] }
  | { readonly kind: "question"; readonly id: number; readonly question: Question };

/** The variable that tells a process its number among those of its supervisor. */
export const processVariable = "APIFORGE_PROCESS";

/** Ours among what a program may send on the same channel. */
interface Envelope<Message> {
  readonly apiforge: Message;
}

/** `message` as it is sent. */
export function enveloped<Message extends Order | Report>(message: Message): Envelope<Message> {
  return { apiforge: message };
}

/** True for what {@link enveloped} made of an {@link Order}, which a supervisor sends. */
export function isOrder(received: unknown): received is Envelope<Order> {
  return isOurs(received);
}

/** True for what {@link enveloped} made of a {@link Report}, which a process of a supervisor sends. */
export function isReport(received: unknown): received is Envelope<Report> {
  return isOurs(received);
}

// Both ends are processes of one program, so what is in it needs no check.
function isOurs(received: unknown): boolean {
  return typeof received === "object" && received !== null && "apiforge" in received;
}
