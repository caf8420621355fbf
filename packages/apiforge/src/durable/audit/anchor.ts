import type { AuditSeal } from "../../store/index.ts";

/** A place in the chain as it was once, kept outside of the database: see {@link anchorText}. */
export interface AuditAnchor {
  readonly position: number;
  /** 64 lower-case hex digits. */
  readonly hash: string;
}

const pattern = /^([1-9]\d{0,15}):([0-9a-f]{64})$/;

/** `position:hash in hex`. */
export function anchorText({ position, hash }: Pick<AuditSeal, "position" | "hash">): string {
  return `${position}:${Buffer.from(hash).toString("hex")}`;
}

/**
 * The anchor that {@link anchorText} wrote.
 * @throws {TypeError} for any other text.
 */
export function readAnchor(text: string): AuditAnchor {
  const [, position, hash] = pattern.exec(text.trim()) ?? [];
  if (position === undefined || hash === undefined)
    throw new TypeError("An anchor is a position, a colon and 64 hex digits");
  return { position: Number(position), hash };
}
