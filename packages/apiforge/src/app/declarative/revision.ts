import { hash } from "node:crypto";

import type { ConfigProblem } from "./problem.ts";

/** One configuration that a gateway has served. */
export interface Revision {
  /**
   * 1 for that of the start; each change has the next, a rollback too. Where several processes serve one address,
   * each content has a number of its own, the same in all of them.
   */
  readonly number: number;
  /** Of what the configuration says: equal for equal content. */
  readonly digest: string;
  /** Number and digest, as logs and metrics have it. */
  readonly id: string;
  readonly activatedAt: number;
}

/** What became of a change. */
export type Change =
  | { readonly outcome: "active"; readonly revision: Revision }
  /** It says what is served already. */
  | { readonly outcome: "unchanged"; readonly revision: Revision }
  /** The one before goes on. */
  | { readonly outcome: "refused"; readonly problems: readonly ConfigProblem[] };

/** Where the revision is shown. */
export const revisionPath = "/v1/revision";

const digestChars = 12;

export function revisionOf(number: number, digest: string, activatedAt: number): Revision {
  return { number, digest, id: `${number}-${digest}`, activatedAt };
}

/** The digest of texts, in their order. */
export function digestOf(texts: readonly string[]): string {
  return hash("sha256", JSON.stringify(texts)).slice(0, digestChars);
}
