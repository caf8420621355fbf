/** What {@link Transaction.audit} writes down. */
export interface AuditRecord {
  /** What was done: 1-128 lower-case letters, digits, `_`, `.` and `-`, beginning with a letter. */
  readonly action: string;
  /** Who did it; default the caller of the request, nobody in jobs and consumers. */
  readonly subject?: string;
  /** To what, and what else matters; 256 KB of JSON at most, default `{}`. Never a secret: it stays. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

const actionPattern = /^[a-z][a-z0-9_.-]{0,127}$/;

/** @throws {RangeError} when `action` is not one of {@link AuditRecord}. */
export function requireAction(action: string): void {
  if (actionPattern.test(action)) return;
  throw new RangeError(
    `${action} is not an action; write lower-case letters, digits, "_", "." and "-"`,
  );
}
