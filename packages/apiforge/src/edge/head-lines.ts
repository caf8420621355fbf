/** Names that Node decides something by, and so has to see. */
const decisive: ReadonlySet<string> = new Set([
  "connection",
  "content-disposition",
  "content-length",
  "expect",
  "keep-alive",
  "trailer",
  "transfer-encoding",
]);
// What Node takes, of names those in lower case: RFC 9110 section 5.
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const forbidden = /[^\t\x20-\x7e\x80-\xff]/;
/** So many heads in a row that differ from what was learned, and another one is learned. */
const patience = 8;

/**
 * Writes the header lines of one route's answers. What they have in common is checked and joined
 * once; of each one only the values that change are. Heads of another kind, such as those of errors,
 * are left to Node.
 */
export class HeadLines {
  /** Names and values, flat, as they were learned. */
  #known: readonly string[] | undefined;
  /** Places of the values that change, in order. */
  #changing: readonly number[] = [];
  /** What stands before each of these, and behind the last. */
  #between: readonly string[] = [];
  #hasDate = false;
  #misses = 0;

  /** The lines of the last text tell the answer's date. */
  get hasDate(): boolean {
    return this.#hasDate;
  }

  /** The lines of `head`, which is flat and ends with the length of the body; undefined where Node is to write them. */
  textOf(head: readonly string[]): string | undefined {
    const known = this.#known;
    if (head.length !== known?.length) return this.#miss(head);
    const changing = this.#changing;
    const between = this.#between;
    let next = 0;
    let text = between[0] ?? "";
    for (let place = 0; place < head.length; place++) {
      const part = head[place];
      if (place === changing[next]) {
        if (!isSound(part)) return undefined;
        next += 1;
        text += part + between[next];
      } else if (part !== known[place]) return this.#differ(head, place);
    }
    this.#misses = 1;
    return text;
  }

  #differ(head: readonly string[], place: number): string | undefined {
    if (!head.every((part, at) => at % 2 === 1 || part === this.#known?.[at]))
      return this.#miss(head);
    this.#changing = [...this.#changing, place].sort((one, other) => one - other);
    this.#join();
    return this.textOf(head);
  }

  #miss(head: readonly string[]): string | undefined {
    const isLearned = this.#misses % patience === 0 && isPlain(head);
    this.#misses += 1;
    if (!isLearned) return undefined;
    this.#known = [...head];
    this.#changing = [];
    this.#hasDate = head.some((part, place) => place % 2 === 0 && part === "date");
    this.#join();
    return this.#between[0];
  }

  #join(): void {
    const between: string[] = [];
    let text = "";
    this.#known?.forEach((part, place) => {
      if (this.#changing.includes(place)) {
        between.push(text);
        text = "";
      } else text += part;
      text += place % 2 === 0 ? ": " : "\r\n";
    });
    between.push(text);
    this.#between = between.map(inOnePiece);
  }
}

/** Text of Latin 1 that was put together is walked piece by piece each time that it is copied, until it is this. */
export function inOnePiece(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

// Types are not all that keeps something else out: stages of an application put headers too.
function isSound(value: unknown): value is string {
  return typeof value === "string" && !forbidden.test(value);
}

/** No name in it decides anything but the last, which tells the length of the body. */
function isPlain(head: readonly string[]): boolean {
  const lengthPlace = head.length - 2;
  if (head[lengthPlace] !== "content-length") return false;
  return head.every((part, place) => {
    if (place % 2 === 1) return isSound(part);
    return token.test(part) && decisive.has(part) === (place === lengthPlace);
  });
}
