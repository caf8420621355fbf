const none = -1;
const firstCapacity = 256;

/**
 * Lists of (instant, count), oldest first, in typed arrays: 12 bytes for a list and 16 for an entry,
 * and nothing for the collector to walk.
 */
export class RunArena {
  #oldest = new Int32Array(firstCapacity);
  #newest = new Int32Array(firstCapacity);
  #total = new Uint32Array(firstCapacity);
  #lists = 0;
  readonly #freeLists: number[] = [];
  #at = new Float64Array(firstCapacity);
  #count = new Uint32Array(firstCapacity);
  #next = new Int32Array(firstCapacity);
  #runs = 0;
  /** First of the free entries, each of which names the next. */
  #free = none;

  /** Makes an empty list; answers its number. */
  open(): number {
    const list = this.#freeLists.pop() ?? this.#lists++;
    if (list === this.#total.length) this.#growLists();
    this.#oldest[list] = none;
    this.#newest[list] = none;
    this.#total[list] = 0;
    return list;
  }

  /** Frees a list and its entries. */
  close(list: number): void {
    this.dropUntil(list, Number.POSITIVE_INFINITY);
    this.#freeLists.push(list);
  }

  /** Sum of the counts. */
  total(list: number): number {
    return this.#total[list] ?? 0;
  }

  /** Instant of the first entry; negative infinity of an empty list. */
  oldest(list: number): number {
    return this.#at[this.#oldest[list] ?? none] ?? Number.NEGATIVE_INFINITY;
  }

  /** Instant of the last entry; negative infinity of an empty list. */
  newest(list: number): number {
    return this.#at[this.#newest[list] ?? none] ?? Number.NEGATIVE_INFINITY;
  }

  /** Adds behind the last entry, or to it when that has this instant or a later one. */
  add(list: number, at: number, count: number): void {
    const last = this.#newest[list] ?? none;
    this.#total[list] = this.total(list) + count;
    if (last !== none && (this.#at[last] ?? 0) >= at) {
      this.#count[last] = (this.#count[last] ?? 0) + count;
      return;
    }
    const run = this.#take();
    this.#at[run] = at;
    this.#count[run] = count;
    this.#next[run] = none;
    if (last === none) this.#oldest[list] = run;
    else this.#next[last] = run;
    this.#newest[list] = run;
  }

  /** Takes one off the entry with this instant; false when it is gone. */
  remove(list: number, at: number): boolean {
    for (let run = this.#oldest[list] ?? none; run !== none; run = this.#next[run] ?? none) {
      if (this.#at[run] !== at) continue;
      const count = this.#count[run] ?? 0;
      if (count === 0) return false;
      this.#count[run] = count - 1;
      this.#total[list] = this.total(list) - 1;
      if (count === 1) this.#dropEmptyHead(list);
      return true;
    }
    return false;
  }

  /** The entries as (instant, count), oldest first, flat. */
  entries(list: number): number[] {
    const flat: number[] = [];
    for (let run = this.#oldest[list] ?? none; run !== none; run = this.#next[run] ?? none) {
      flat.push(this.#at[run] ?? 0, this.#count[run] ?? 0);
    }
    return flat;
  }

  /** Drops the entries up to and including the instant `until`. */
  dropUntil(list: number, until: number): void {
    let run = this.#oldest[list] ?? none;
    while (run !== none && (this.#at[run] ?? 0) <= until) run = this.#dropHead(list, run);
    this.#dropEmptyHead(list);
  }

  // Entries that were given back whole would pass for the next instant at which something is freed.
  #dropEmptyHead(list: number): void {
    let run = this.#oldest[list] ?? none;
    while (run !== none && this.#count[run] === 0) run = this.#dropHead(list, run);
  }

  /** Answers the entry behind it. */
  #dropHead(list: number, run: number): number {
    const next = this.#next[run] ?? none;
    this.#total[list] = this.total(list) - (this.#count[run] ?? 0);
    this.#oldest[list] = next;
    if (next === none) this.#newest[list] = none;
    this.#next[run] = this.#free;
    this.#free = run;
    return next;
  }

  #take(): number {
    const run = this.#free;
    if (run !== none) {
      this.#free = this.#next[run] ?? none;
      return run;
    }
    if (this.#runs === this.#at.length) this.#growRuns();
    return this.#runs++;
  }

  #growLists(): void {
    const capacity = this.#total.length * 2;
    this.#oldest = grown(new Int32Array(capacity), this.#oldest);
    this.#newest = grown(new Int32Array(capacity), this.#newest);
    this.#total = grown(new Uint32Array(capacity), this.#total);
  }

  #growRuns(): void {
    const capacity = this.#at.length * 2;
    this.#at = grown(new Float64Array(capacity), this.#at);
    this.#count = grown(new Uint32Array(capacity), this.#count);
    this.#next = grown(new Int32Array(capacity), this.#next);
  }
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(larger: T, smaller: T): T {
  larger.set(smaller);
  return larger;
}
