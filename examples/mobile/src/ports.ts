import type { Tokens } from "apiforge";

/** A text message to a phone. */
export interface TextMessage {
  /** Phone number, E.164. */
  readonly to: string;
  readonly body: string;
}

/** Sends text messages. */
export interface TextMessages {
  /**
   * Sends once; the job that calls it owns the retries. Calls with one `idempotencyKey` are attempts
   * at one message, of which the other side may drop the repeats.
   */
  send(
    message: TextMessage,
    call: { readonly signal: AbortSignal; readonly idempotencyKey: string },
  ): Promise<void>;
}

/** What the app's backend needs of others. */
export interface MobilePorts {
  readonly texts: TextMessages;
  /** The same that `createForge` is given. */
  readonly tokens: Pick<Tokens, "startSession" | "endSessions">;
}
