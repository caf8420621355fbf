import type { Log, LogFields } from "../../kernel/index.ts";
import type { Route } from "../route.ts";
import { inMicroseconds, pathOf, type AccessLines, type LineSink } from "./access-lines.ts";
import { LineTexts } from "./line-texts.ts";
import type { Answered, Observer, ObserverOf } from "./observe.ts";

/** Classes of answers by the first digit of their status. */
export type StatusClass = "2xx" | "3xx" | "4xx" | "5xx";

/** What the access log leaves out. */
export interface AccessLogOptions {
  /** The share of answers that is logged, from 0 to 1, evenly spread; default 1 for each class. */
  readonly sampled?: Readonly<Partial<Record<StatusClass, number>>>;
  /** Takes the lines, as pino writes them, in the log's place, for less time. */
  readonly sink?: LineSink;
}

const classes: readonly StatusClass[] = ["2xx", "3xx", "4xx", "5xx"];

/**
 * One line for each answer, `warn` for status 5xx and `info` for the rest: who asked for what, and
 * what became of it. No header, no query, no body: those hold the secrets.
 * `lines` takes the place of `log`. `revision` is that of the configuration by which the request was served.
 * @throws {RangeError} for a share that is none.
 */
export function accessLog(
  log: Log,
  lines: AccessLines | undefined,
  { sampled = {} }: AccessLogOptions,
  revision?: string,
): ObserverOf {
  const samplers = classes.map((name) => new Sampler(sampled[name] ?? 1));
  if (samplers.every(({ share }) => share === 0)) return () => undefined;
  if (lines !== undefined) return (route) => lineWriter(lines, samplers, route, revision);
  function end(answered: Answered): void {
    const { status } = answered;
    const sampler = samplers[classOf(status)];
    if (sampler?.takes() === false) return;
    const fields = { ...accessFields(answered, sampler?.share), revision };
    if (status >= 500) log.warn(fields, "answered");
    else log.info(fields, "answered");
  }
  return () => ({ end });
}

function lineWriter(
  lines: AccessLines,
  samplers: readonly Sampler[],
  route: Route | undefined,
  revision: string | undefined,
): Observer {
  const { fields } = lines;
  const texts = samplers.map(({ share }) => new LineTexts({ route, fields, share, revision }));
  const others = new LineTexts({ route, fields, share: 1, revision });
  return {
    end(answered) {
      const place = classOf(answered.status);
      if (samplers[place]?.takes() === false) return;
      lines.add(answered, texts[place] ?? others);
    },
  };
}

/** The place of a status among {@link classes}; none for 1xx. */
function classOf(status: number): number {
  return Math.trunc(status / 100) - 2;
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
    durationMs: inMicroseconds(durationMs),
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
