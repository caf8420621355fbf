/**
 * Names of fields, in lower case, among which raw ones are looked up. Most are told apart by their length alone: 0.2 us
 * for an answer of 8 fields instead of 1.3 where each name is read.
 */
export class FieldNames {
  readonly all: ReadonlySet<string>;
  readonly #lengths: ReadonlySet<number>;

  constructor(names: Iterable<string>) {
    this.all = new Set(names);
    this.#lengths = new Set([...this.all].map((name) => name.length));
  }

  /** True for a name that is one of them, in whatever case. */
  has(name: string): boolean {
    return this.#lengths.has(name.length) && this.all.has(name.toLowerCase());
  }
}
