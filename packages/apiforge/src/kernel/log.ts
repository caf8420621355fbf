/** Facts that a log line carries beside its message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log, satisfied by pino's logger. Fields come first, as pino takes them. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** Drops everything; for tools and tests that have nobody to read a log. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
