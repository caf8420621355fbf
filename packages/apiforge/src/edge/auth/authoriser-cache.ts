/** A map of bounded size; its least recently used entries go first. */
export class AuthoriserCache<Entry> {
  readonly #generationSize: number;
  // Two generations stand in for a recency list: a hit in the older one moves the entry over, and
  // a full newer one becomes the older. A hit in the newer one writes nothing.
  #recent = new Map<string, Entry>();
  #older = new Map<string, Entry>();

  constructor(maxEntries: number) {
    this.#generationSize = Math.max(1, Math.floor(maxEntries / 2));
  }

  get(id: string): Entry | undefined {
    return this.#recent.get(id) ?? this.#promoted(id);
  }

  set(id: string, entry: Entry): void {
    if (this.#recent.size >= this.#generationSize) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(id, entry);
  }

  #promoted(id: string): Entry | undefined {
    const entry = this.#older.get(id);
    if (entry === undefined) return undefined;
    this.#older.delete(id);
    this.set(id, entry);
    return entry;
  }
}
