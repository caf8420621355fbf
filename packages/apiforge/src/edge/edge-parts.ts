import { AnswerQueue } from "./answer-queue.ts";
import { BodyDeadline, type BodyLimits } from "./body-deadline.ts";
import { createCursorCodec, type CursorCodec } from "./cursor.ts";
import type { EdgeOptions } from "./edge-options.ts";
import { AccessLines } from "./evidence/access-lines.ts";
import { processMetrics } from "./evidence/metrics/process-metrics.ts";
import { RequestMetrics } from "./evidence/metrics/request-metrics.ts";
import { timeoutCheckIntervalMs } from "./http-server.ts";
import type { MetricSource } from "../kernel/index.ts";
import { LimitJournal } from "./limits/journal.ts";
import { LeaseDesk } from "./limits/lease-desk.ts";
import { elapsedBy, type CountKeepers } from "./limits/limit-book.ts";
import { Upgrades } from "./upgrades.ts";
import { UsageBook } from "./versions/usage-book.ts";

/** Until a request has arrived whole. */
export const requestTimeoutMs = 30_000;
const bodyLimits: BodyLimits = {
  totalMs: requestTimeoutMs,
  idleMs: 15_000,
  // Below a modem's; a body that needs less has arrived whole by the first look.
  minBytesPerSecond: 100,
  checkMs: timeoutCheckIntervalMs,
};

/** What a server has from its start to its end, whatever routes it serves meanwhile. */
export interface EdgeParts {
  readonly closing: AbortController;
  /** Undefined where there are no metrics. */
  readonly requests: RequestMetrics | undefined;
  readonly ofProcess: MetricSource | undefined;
  readonly lines: AccessLines | undefined;
  readonly upgrades: Upgrades;
  readonly cursors: CursorCodec;
  readonly bodyDeadline: BodyDeadline;
  readonly answers: AnswerQueue;
  readonly keepers: CountKeepers;
  /** Made with the first deprecated route. */
  usage: UsageBook | undefined;
}

/** Makes what `options` ask for. */
export function openParts(options: EdgeOptions): EdgeParts {
  const { clock, metrics, limitMemory, leases } = options;
  const closing = new AbortController();
  const sink = options.accessLog?.sink;
  return {
    closing,
    requests: metrics && new RequestMetrics(),
    ofProcess: metrics && processMetrics(closing.signal),
    lines: sink && new AccessLines(sink, clock),
    upgrades: new Upgrades(),
    cursors: createCursorCodec(options.cursorKey),
    bodyDeadline: new BodyDeadline(clock, bodyLimits),
    answers: new AnswerQueue(),
    keepers: {
      journal: limitMemory && openJournal(options, limitMemory),
      desk: leases && new LeaseDesk(leases),
    },
    usage: undefined,
  };
}

/** Where callers of deprecated routes are counted; undefined while there is no such route. */
export function usageBook(
  { usageStore, routes, clock, log }: EdgeOptions,
  parts: EdgeParts,
): UsageBook | undefined {
  const isNeeded = routes.some(({ deprecated }) => deprecated !== undefined);
  if (usageStore !== undefined && isNeeded) parts.usage ??= new UsageBook(usageStore, clock, log);
  return parts.usage;
}

function openJournal(
  { clock, log: logger }: EdgeOptions,
  kept: NonNullable<EdgeOptions["limitMemory"]>,
): LimitJournal {
  return new LimitJournal({ ...kept, clock, elapsed: elapsedBy(clock), logger });
}
