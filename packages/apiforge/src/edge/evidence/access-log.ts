import type { Log, LogFields } from "../../kernel/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Answered, ObserverOf } from "./observe.ts";

/** Classes of answers by the first digit of their status. */
export type StatusClass = "2xx" | "3xx" | "4xx" | "5xx";

/** What the access log leaves out. */
export interface AccessLogOptions {
  /** The share of answers that is logged, from 0 to 1, evenly spread; default 1 for each class. */
  readonly sampled?: Readonly<Partial<Record<StatusClass, number>>>;
}

const classes: readonly StatusClass[] = ["2xx", "3xx", "4xx", "5xx"];
/** Paths are as long as a caller likes. */
const maxPathChars = 1_024;

/**
 * One line for each answer, `warn` for status 5xx and `info` for the rest: who asked for what, and
 * what became of it. No header, no query, no body: those hold the secrets.
 * @throws {RangeError} for a share that is none.
 */
export function accessLog(log: Log, { sampled = {} }: AccessLogOptions): ObserverOf {
  const samplers = classes.map((name) => new Sampler(sampled[name] ?? 1));
  if (samplers.every(({ share }) => share === 0)) return () => undefined;
  function end(answered: Answered): void {
    const { status } = answered;
    const sampler = samplers[Math.trunc(status / 100) - 2];
    if (sampler?.takes() === false) return;
    const fields = accessFields(answered, sampler?.share);
    if (status >= 500) log.warn(fields, "answered");
    else log.info(fields, "answered");
  }
  return () => ({ end });
}

function accessFields(answered: Answered, share: number | undefined): LogFields {
  const { exchange, status, bytes, durationMs, isReplay } = answered;
  const { principal } = exchange;
  return {
    method: exchange.method,
    route: exchange.route?.path,
    path: pathOf(exchange),
    status,
    bytes,
    durationMs: Math.round(durationMs * 1_000) / 1_000,
    requestId: exchange.id,
    traceId: exchange.traceId,
    tenant: principal?.tenant,
    subject: principal?.subject,
    credentialId: principal?.credentialId,
    replay: isReplay ? true : undefined,
    refusedBy: exchange.failureCode,
    share: share === 1 ? undefined : share,
  };
}

function pathOf({ url }: Exchange): string {
  const query = url.indexOf("?");
  const end = Math.min(query === -1 ? url.length : query, maxPathChars);
  return end === url.length ? url : url.slice(0, end);
}

/** Takes a share of what it is asked for, evenly: without chance, no run of bad luck hides an hour. */
class Sampler {
  readonly share: number;
  #credit = 0;

  constructor(share: number) {
    if (!(share >= 0 && share <= 1)) throw new RangeError(`${share} is not a share from 0 to 1`);
    this.share = share;
  }

  takes(): boolean {
    if (this.share === 1) return true;
    this.#credit += this.share;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }
}
