import { pino } from "pino";

import type { LineSink } from "../edge/index.ts";
import type { Log } from "../kernel/index.ts";
import type { Config } from "./config.ts";

/** Where a server tells what happens. */
export interface Logs {
  readonly log: Log;
  /** Where lines of the access log go past the log; undefined: they go through it. */
  readonly lines: LineSink | undefined;
}

/** `own`, else pino to standard output. */
export function openLogs({ logLevel: level }: Config, own: Log | undefined): Logs {
  // What a log of somebody else does with a line (leave out, rename, send on) is its own affair.
  if (own !== undefined) return { log: own, lines: undefined };
  const output = pino.destination(1);
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, output);
  return { log, lines: log.isLevelEnabled("info") ? output : undefined };
}
