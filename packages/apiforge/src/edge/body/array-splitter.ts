import { edgeError } from "../errors.ts";
import { isBlank, isSpace, maxItemBytes, type ItemSplitter } from "./item-splitter.ts";

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const maxKeyBytes = 1_024;
const nothing = Buffer.alloc(0);

/** What may come next, outside of items. */
type Place = "open" | "key" | "colon" | "array" | "first" | "item" | "next" | "after" | "over";

/**
 * Cuts `{"field":[item, …]}` into its items. Only the frame is read here, byte by byte; each item
 * is then parsed by itself, as strictly as any body, so memory holds one item and not the array.
 */
export class ArraySplitter implements ItemSplitter {
  readonly #field: string;
  readonly #refuseLong: () => Error;
  #place: Place = "open";
  /** Bytes not yet dealt with: the beginning of a key or an item. */
  #rest: Buffer = nothing;
  /** How far an item was scanned in {@link #rest}, with where that was. */
  #scanned = 0;
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #wasField = false;

  /** @param refuseLong makes the error for an item that is too long. */
  constructor(field: string, refuseLong: () => Error) {
    this.#field = field;
    this.#refuseLong = refuseLong;
  }

  *push(piece: Buffer): Iterable<Buffer> {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (at < bytes.length) {
      if (this.#place === "item") {
        const end = this.#endOfItem(bytes, at + this.#scanned);
        if (end === -1) break;
        if (isBlank(bytes, at, end)) throw invalid();
        yield bytes.subarray(at, end);
        this.#scanned = 0;
        at = end;
        this.#place = "next";
      } else if (isSpace(bytes[at])) {
        at += 1;
      } else if (this.#place === "key" && bytes[at] === quote) {
        const end = endOfString(bytes, at);
        if (end === -1) break;
        this.#readKey(bytes.toString("utf8", at, end));
        at = end;
      } else {
        at += this.#step(bytes[at]);
      }
    }
    this.#keep(bytes, at);
  }

  // oxlint-disable-next-line require-yield -- what is left is never an item: its end is a bracket.
  *end(): Iterable<Buffer> {
    if (this.#place !== "over") throw invalid();
  }

  /** Goes on behind one byte of the frame; answers how many bytes it was, 0 for an item's first. */
  #step(byte: number | undefined): number {
    switch (this.#place) {
      case "open":
        return this.#expect(byte, openBrace, "key");
      case "colon":
        return this.#expect(byte, colon, "array");
      case "array":
        if (byte !== openBracket) throw notArray(this.#field);
        return this.#expect(byte, openBracket, "first");
      case "first":
        if (byte === closeBracket) return this.#expect(byte, closeBracket, "after");
        this.#place = "item";
        return 0;
      case "next":
        return byte === comma
          ? this.#expect(byte, comma, "item")
          : this.#expect(byte, closeBracket, "after");
      case "after":
        return byte === comma
          ? this.#expect(byte, comma, "key")
          : this.#expect(byte, closeBrace, "over");
      case "key":
        if (byte === closeBrace && !this.#wasField) throw notArray(this.#field);
        throw invalid();
      case "item":
      case "over":
        throw invalid();
    }
  }

  #expect(byte: number | undefined, wanted: number, place: Place): number {
    if (byte !== wanted) throw invalid();
    this.#place = place;
    return 1;
  }

  #readKey(text: string): void {
    let key: unknown;
    try {
      key = JSON.parse(text);
    } catch (error) {
      throw edgeError("invalid_json", "The body is not valid JSON", { cause: error });
    }
    const path = `body.${String(key)}`;
    if (key !== this.#field) {
      throw edgeError("unknown_field", `${path.slice(0, 200)} is not a known field`, {
        param: path.slice(0, 200),
      });
    }
    if (this.#wasField) {
      throw edgeError("duplicate_json_key", `${path} is given more than once`, { param: path });
    }
    this.#wasField = true;
    this.#place = "colon";
  }

  /** Index of the comma or bracket behind the item, -1 when it is not there yet. */
  #endOfItem(bytes: Buffer, from: number): number {
    let depth = this.#depth;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === backslash) this.#isEscaped = true;
        else if (byte === quote) this.#inString = false;
      } else if (byte === quote) {
        this.#inString = true;
      } else if (byte === openBrace || byte === openBracket) {
        depth += 1;
      } else if (depth === 0 && (byte === comma || byte === closeBracket)) {
        this.#depth = 0;
        return at;
      } else if (byte === closeBrace || byte === closeBracket) {
        depth -= 1;
        if (depth < 0) throw invalid();
      }
    }
    this.#depth = depth;
    return -1;
  }

  #keep(bytes: Buffer, from: number): void {
    this.#rest = bytes.subarray(from);
    const isItem = this.#place === "item";
    this.#scanned = isItem ? this.#rest.length : 0;
    if (isItem && this.#rest.length > maxItemBytes) throw this.#refuseLong();
    if (!isItem && this.#rest.length > maxKeyBytes) throw invalid();
  }
}

/** Index behind the quote that closes the string opened at `start`, -1 when it is not there yet. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === quote) return at + 1;
    if (bytes[at] === backslash) at += 1;
  }
  return -1;
}

function invalid(): Error {
  return edgeError("invalid_json", "The body is not valid JSON");
}

function notArray(field: string): Error {
  return edgeError("validation_failed", `body.${field}: must be an array`, {
    param: `body.${field}`,
  });
}
