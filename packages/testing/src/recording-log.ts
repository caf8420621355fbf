import type { Log, LogFields } from "apiforge/internal/kernel";

/** One line that was logged. */
export interface LogEntry {
  readonly level: keyof Log;
  readonly fields: LogFields;
  readonly message: string;
}

/** A log that keeps its lines for the test to look at. */
export interface RecordingLog extends Log {
  readonly entries: readonly LogEntry[];
}

/** Makes an empty {@link RecordingLog}. */
export function recordingLog(): RecordingLog {
  const entries: LogEntry[] = [];
  function keep(level: keyof Log) {
    return (fields: LogFields, message: string) => void entries.push({ level, fields, message });
  }
  return {
    entries,
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
  };
}
