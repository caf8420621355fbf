const firstCapacity = 256;

/** What was spent and is not on disk yet, by the number of its subject: 8 bytes for each. */
export class Unsaved {
  /** On no disk yet. */
  #owed = new Uint32Array(firstCapacity);
  /** Of that, what no write has taken along. */
  #fresh = new Uint32Array(firstCapacity);
  #touched: number[] = [];

  owed(index: number): number {
    return this.#owed[index] ?? 0;
  }

  /** True when there is something to write. */
  get isTouched(): boolean {
    return this.#touched.length > 0;
  }

  add(index: number, count: number): void {
    if (index >= this.#owed.length) this.#grow(index);
    if (this.#fresh[index] === 0) this.#touched.push(index);
    this.#fresh[index] = (this.#fresh[index] ?? 0) + count;
    this.#owed[index] = (this.#owed[index] ?? 0) + count;
  }

  /** One that no write took along was given back. */
  takeBack(index: number): void {
    if ((this.#fresh[index] ?? 0) === 0) return;
    this.#fresh[index] = (this.#fresh[index] ?? 0) - 1;
    this.#owed[index] = (this.#owed[index] ?? 0) - 1;
  }

  /** Subjects to be written, at most `most`; each is to be taken. */
  touched(most: number): readonly number[] {
    return this.#touched.splice(0, most);
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
    if (this.#fresh[index] === 0) this.#touched.push(index);
    this.#fresh[index] = (this.#fresh[index] ?? 0) + count;
  }

  #grow(index: number): void {
    const capacity = Math.max(index + 1, this.#owed.length * 2);
    this.#owed = grown(new Uint32Array(capacity), this.#owed);
    this.#fresh = grown(new Uint32Array(capacity), this.#fresh);
  }
}

function grown(larger: Uint32Array<ArrayBuffer>, smaller: Uint32Array): Uint32Array<ArrayBuffer> {
  larger.set(smaller);
  return larger;
}
