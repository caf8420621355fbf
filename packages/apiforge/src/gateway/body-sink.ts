/** Takes the body of an upstream's answer in the place of the client's connection. */
export interface BodySink {
  take(chunk: Buffer): void;
  /** All of it has come. A body that breaks off is a failure of its attempt. */
  end(): void;
}

/** Holds a body of at most `maxBytes`. */
export class HeldBody implements BodySink {
  readonly #maxBytes: number;
  readonly #whole: (body: Buffer) => void;
  readonly #tooLarge: () => void;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  /** @param tooLarge called once, and then nothing more is. */
  constructor(maxBytes: number, whole: (body: Buffer) => void, tooLarge: () => void) {
    this.#maxBytes = maxBytes;
    this.#whole = whole;
    this.#tooLarge = tooLarge;
  }

  take(chunk: Buffer): void {
    if (this.#bytes > this.#maxBytes) return;
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#maxBytes) this.#chunks.push(chunk);
    else this.#tooLarge();
  }

  end(): void {
    if (this.#bytes > this.#maxBytes) return;
    const [first] = this.#chunks;
    this.#whole(this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks));
  }
}
