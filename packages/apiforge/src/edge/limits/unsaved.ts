const firstCapacity = 256;
const wordBits = 32;

/** Numbers of subjects that are to be written, and where to go on; undefined when there are no more. */
export interface Touched {
  readonly indexes: readonly number[];
  readonly next: number | undefined;
}

/** What was spent and is not on disk yet, by the number of its subject: 8 bytes and a bit for each. */
export class Unsaved {
  /** On no disk yet. */
  #owed = new Uint32Array(firstCapacity);
  /** Of that, what no write has taken along. */
  #fresh = new Uint32Array(firstCapacity);
  /** A bit for each number: something of it is fresh. */
  #touched = new Uint32Array(firstCapacity / wordBits);
  #touchedCount = 0;

  owed(index: number): number {
    return this.#owed[index] ?? 0;
  }

  /** True when there is something to write. */
  get isTouched(): boolean {
    return this.#touchedCount > 0;
  }

  add(index: number, count: number): void {
    if (index >= this.#owed.length) this.#grow(index);
    this.#touch(index);
    this.#fresh[index] = (this.#fresh[index] ?? 0) + count;
    this.#owed[index] = (this.#owed[index] ?? 0) + count;
  }

  /** One that no write took along was given back. */
  takeBack(index: number): void {
    if ((this.#fresh[index] ?? 0) === 0) return;
    this.#fresh[index] = (this.#fresh[index] ?? 0) - 1;
    this.#owed[index] = (this.#owed[index] ?? 0) - 1;
  }

  /** At most `most` of those to be written from the number `first` on; each is to be taken. */
  touched(first: number, most: number): Touched {
    const indexes: number[] = [];
    let index = first;
    while (index < this.#owed.length && this.#touchedCount > 0) {
      const bits = (this.#touched[index >>> 5] ?? 0) >>> (index & 31);
      if (bits === 0) {
        index = (index | 31) + 1;
        continue;
      }
      if (indexes.length === most) return { indexes, next: index };
      // To the lowest bit that is set.
      index += 31 - Math.clz32(bits & -bits);
      this.#untouch(index);
      indexes.push(index++);
    }
    return { indexes, next: undefined };
  }

  /** What of a subject is to be written now. */
  take(index: number): number {
    const count = this.#fresh[index] ?? 0;
    this.#fresh[index] = 0;
    return count;
  }

  /** What was taken is on disk. */
  saved(index: number, count: number): void {
    this.#owed[index] = (this.#owed[index] ?? 0) - count;
  }

  /** What was taken could not be written. */
  failed(index: number, count: number): void {
    this.#touch(index);
    this.#fresh[index] = (this.#fresh[index] ?? 0) + count;
  }

  #touch(index: number): void {
    const word = this.#touched[index >>> 5] ?? 0;
    const bit = 1 << (index & 31);
    if ((word & bit) !== 0) return;
    this.#touched[index >>> 5] = word | bit;
    this.#touchedCount++;
  }

  #untouch(index: number): void {
    this.#touched[index >>> 5] = (this.#touched[index >>> 5] ?? 0) & ~(1 << (index & 31));
    this.#touchedCount--;
  }

  #grow(index: number): void {
    const capacity = Math.max(wordBits * Math.ceil((index + 1) / wordBits), this.#owed.length * 2);
    this.#owed = grown(new Uint32Array(capacity), this.#owed);
    this.#fresh = grown(new Uint32Array(capacity), this.#fresh);
    this.#touched = grown(new Uint32Array(capacity / wordBits), this.#touched);
  }
}

function grown(larger: Uint32Array<ArrayBuffer>, smaller: Uint32Array): Uint32Array<ArrayBuffer> {
  larger.set(smaller);
  return larger;
}
