const chunkBytes = 65_536;
/** Texts begin at multiples of this. */
const unitBytes = 8;
const chunkUnits = chunkBytes / unitBytes;
/** A length, and whether its characters take two bytes each. */
const headBytes = 2;
const oneByteMost = 0xff;

/** Longest text that {@link TextArena} takes, in UTF-16 code units. */
export const longestText = 1_000;

/**
 * Texts outside of what the collector walks, in chunks that stay where they are: two bytes and one
 * for each character, or two for each where one is beyond Latin-1; rounded up to eight.
 */
export class TextArena {
  readonly #chunks: Buffer[] = [];
  /** Of each number of units the places that are free. */
  readonly #free: number[][] = [];
  #end = 0;

  /** Keeps `text`; answers its place. */
  add(text: string): number {
    const isWide = !isNarrow(text);
    const place = this.#take(unitsOf(text.length, isWide));
    const chunk = this.#chunkOf(place);
    let at = offsetOf(place);
    chunk.writeUInt16LE((text.length << 1) | (isWide ? 1 : 0), at);
    at += headBytes;
    for (let n = 0; n < text.length; n++) {
      const code = text.charCodeAt(n);
      chunk[at++] = code;
      if (isWide) chunk[at++] = code >>> 8;
    }
    return place;
  }

  /** Frees a place. */
  remove(place: number): void {
    const head = this.#head(place);
    (this.#free[unitsOf(head >>> 1, (head & 1) === 1)] ??= []).push(place);
  }

  /** True when `text` is what was put there. */
  has(place: number, text: string): boolean {
    const head = this.#head(place);
    if (head >>> 1 !== text.length) return false;
    if ((head & 1) === 1) return this.read(place) === text;
    const chunk = this.#chunkOf(place);
    const at = offsetOf(place) + headBytes;
    for (let n = 0; n < text.length; n++) {
      if (chunk[at + n] !== text.charCodeAt(n)) return false;
    }
    return true;
  }

  read(place: number): string {
    const head = this.#head(place);
    const at = offsetOf(place) + headBytes;
    const length = head >>> 1;
    const chunk = this.#chunkOf(place);
    return (head & 1) === 1
      ? chunk.toString("utf16le", at, at + 2 * length)
      : chunk.toString("latin1", at, at + length);
  }

  #head(place: number): number {
    const chunk = this.#chunkOf(place);
    const at = offsetOf(place);
    return (chunk[at] ?? 0) | ((chunk[at + 1] ?? 0) << 8);
  }

  #chunkOf(place: number): Buffer {
    const index = Math.floor(place / chunkUnits);
    return (this.#chunks[index] ??= Buffer.alloc(chunkBytes));
  }

  #take(units: number): number {
    const free = this.#free[units]?.pop();
    if (free !== undefined) return free;
    const isAcross = (this.#end % chunkUnits) + units > chunkUnits;
    // What does not fit goes into the next chunk whole; the rest of this one stays empty.
    if (isAcross) this.#end = Math.ceil(this.#end / chunkUnits) * chunkUnits;
    const place = this.#end;
    this.#end += units;
    return place;
  }
}

function offsetOf(place: number): number {
  return (place % chunkUnits) * unitBytes;
}

function unitsOf(length: number, isWide: boolean): number {
  return Math.ceil((headBytes + (isWide ? 2 * length : length)) / unitBytes);
}

function isNarrow(text: string): boolean {
  for (let n = 0; n < text.length; n++) if (text.charCodeAt(n) > oneByteMost) return false;
  return true;
}
