import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** A request's body grew larger than its route takes. */
export class BodyTooLarge extends Error {}

/** The client went while its body was on the way. */
export class BodyCutShort extends Error {}

/** True for an error that the client made of its own body. */
export function isOfClient(cause: unknown): boolean {
  return cause instanceof BodyTooLarge || cause instanceof BodyCutShort;
}

/**
 * A request's body on its way to an upstream, at the pace of the slower side. Not the request
 * itself: undici destroys the body of a request that is answered early, and the answer leaves on the
 * same socket.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(request: IncomingMessage, maxBytes: number) {
    super({ highWaterMark: 65_536 });
    this.#request = request;
    this.#maxBytes = maxBytes;
    // undici listens until it is done with the request, and the client may go later.
    this.on("error", () => undefined);
    request.pause();
    request.on("data", this.#take).on("end", this.#end).on("close", this.#close);
  }

  /** True when it is its client that is waited for. */
  get isStarved(): boolean {
    return !this.#request.complete && this.readableLength === 0;
  }

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#request.off("data", this.#take).off("end", this.#end).off("close", this.#close);
    callback(error);
  }

  readonly #take = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.destroy(new BodyTooLarge());
      return;
    }
    if (!this.push(chunk)) this.#request.pause();
  };

  readonly #end = (): void => void this.push(null);

  readonly #close = (): void => {
    if (!this.#request.complete) this.destroy(new BodyCutShort());
  };
}

/**
 * Reads a body of known, small length: what is held whole can be sent to another endpoint when the
 * first one fails. `done` is not called when the client goes before its end.
 */
export function collectBody(request: IncomingMessage, done: (body: Buffer) => void): void {
  let only: Buffer | undefined;
  const more: Buffer[] = [];
  request.on("data", (chunk: Buffer) => {
    if (only === undefined) only = chunk;
    else more.push(chunk);
  });
  request.once("end", () => {
    const first = only ?? Buffer.alloc(0);
    done(more.length === 0 ? first : Buffer.concat([first, ...more]));
  });
}
