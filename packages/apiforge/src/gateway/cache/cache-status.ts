/** Why a request went on to the upstream (RFC 9211 section 2.2). */
export type Forwarded = "bypass" | "method" | "uri-miss" | "vary-miss" | "stale" | "request";

/** What became of a request on its way on. */
export interface ForwardedOutcome {
  /** The upstream's status; undefined when it gave none. */
  readonly status: number | undefined;
  readonly isStored?: boolean;
  /** It waited for another request's answer and got that. */
  readonly isCollapsed?: boolean;
  readonly detail?: "stale-if-error";
}

const name = "apiforge";

/** `Cache-Status` of an answer that was stored. `ttl` is below 0 for one that is stale. */
export function hitStatus(ttlMs: number): string {
  return `${name}; hit; ttl=${Math.floor(ttlMs / 1_000)}`;
}

/** `Cache-Status` of an answer that the upstream was asked for. */
export function forwardedStatus(why: Forwarded, outcome: ForwardedOutcome): string {
  const { status, isStored = false, isCollapsed = false, detail } = outcome;
  let value = `${name}; fwd=${why}`;
  if (status !== undefined) value += `; fwd-status=${status}`;
  if (isStored) value += "; stored";
  if (isCollapsed) value += "; collapsed";
  return detail === undefined ? value : `${value}; detail=${detail}`;
}
