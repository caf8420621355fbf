import { pino } from "pino";

import type { LineSink } from "../edge/index.ts";
import type { Log } from "../kernel/index.ts";
import type { Config } from "./config.ts";
import { workerLink } from "./processes/worker-link.ts";
import { linesOf } from "./processes/lines.ts";

/** Where a server tells what happens. */
export interface Logs {
  readonly log: Log;
  /** Where lines of the access log go past the log; undefined: they go through it. */
  readonly lines: LineSink | undefined;
}

/**
 * A pipe takes so much at once or not at all (PIPE_BUF of Linux, the least of other systems is less): lines of several
 * processes on one pipe stay whole.
 */
const wholeWriteBytes = 4_096;

/** `own`, else pino to standard output, where one of several processes names its number. */
export function openLogs({ logLevel: level }: Config, own: Log | undefined): Logs {
  // What a log of somebody else does with a line (leave out, rename, send on) is its own affair.
  if (own !== undefined) return { log: own, lines: undefined };
  const link = workerLink();
  const output = pino.destination(
    link === undefined ? { dest: 1 } : { dest: 1, maxWrite: wholeWriteBytes },
  );
  const base = link === undefined ? null : { process: link.number };
  const log = pino({ level, base, timestamp: pino.stdTimeFunctions.isoTime }, output);
  if (!log.isLevelEnabled("info")) return { log, lines: undefined };
  if (base === null) return { log, lines: output };
  const write = (text: string): void => {
    for (const piece of linesOf(text, wholeWriteBytes)) output.write(piece);
  };
  return { log, lines: { write, fields: base } };
}
