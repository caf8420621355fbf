import { sameText, type TokenSecrets } from "./secrets.ts";

/** What a refresh token says of itself, before it is proved. */
export interface PresentedToken {
  readonly sessionId: string;
  /** 0 for the first token of a session. */
  readonly generation: number;
  readonly proof: string;
}

const form = /^af_rt_([0-9A-Za-z]{22})_(0|[1-9]\d{0,8})_([\w-]{43})$/;
const sessionPrefix = "ses_";

/** The refresh token of one generation: the same one however often it is asked for. */
export function refreshToken(
  secrets: TokenSecrets,
  sessionId: string,
  seed: string,
  generation: number,
): string {
  const name = sessionId.slice(sessionPrefix.length);
  return `af_rt_${name}_${generation}_${secrets.proofOf(sessionId, seed, generation)}`;
}

/** Undefined for a text that is no refresh token of ours. */
export function parseRefreshToken(text: string): PresentedToken | undefined {
  const [, name, generation, proof] = form.exec(text) ?? [];
  if (name === undefined || proof === undefined) return undefined;
  return { sessionId: sessionPrefix + name, generation: Number(generation), proof };
}

/** Whether the deployment gave out this token, at whatever time. */
export function isGenuine(secrets: TokenSecrets, token: PresentedToken, seed: string): boolean {
  return sameText(token.proof, secrets.proofOf(token.sessionId, seed, token.generation));
}
