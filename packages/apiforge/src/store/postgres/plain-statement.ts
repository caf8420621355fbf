import type { Command } from "./command.ts";

const writing = /^\s*(?:insert|update|delete)\b/i;
const excluded = /\breturning\b|set_config/i;

/**
 * True for a statement that units of one transaction can execute one after another: it writes,
 * leaves no setting behind for the next, and answers nothing but a count, which is the same when
 * the statement has to be repeated elsewhere.
 */
export function isPlain({ text }: Command): boolean {
  return writing.test(text) && !excluded.test(text);
}
