import { hash, randomBytes } from "node:crypto";

import { keyedHash } from "./keyed-hash.ts";
import { longestText, TextArena } from "./text-arena.ts";

const firstCapacity = 256;
const digestMark = "\0sha256:";

/**
 * The numbers of subjects by their texts, of which it keeps a copy and not the string: 8 bytes of
 * slots, 8 of places, and the text. With a Map the table of a million took 112 MB instead of 74, the
 * strings themselves not counted. Of a text above 1,000 characters its digest is kept in its stead.
 */
export class SubjectIndex {
  readonly #texts = new TextArena();
  readonly #hash = keyedHash(randomBytes(4).readInt32LE(), randomBytes(4).readInt32LE());
  /** By hash: a number and one; 0 where nothing is. As many as a power of two. */
  #slots = new Int32Array(2 * firstCapacity);
  #hashes = new Int32Array(firstCapacity);
  /** By number: the place of its text and one. */
  #places = new Uint32Array(firstCapacity);
  /** Whom it was asked for last, and what was found: one request asks for the same a few times. */
  #lastSubject: string | undefined;
  #lastHash = 0;
  #lastIndex: number | undefined;
  size = 0;
  /** Highest number so far, and one. */
  capacity = 0;

  /** The number of a subject; undefined when it has none. */
  find(subject: string): number | undefined {
    if (this.#lastSubject === subject) return this.#lastIndex;
    const text = kept(subject);
    this.#lastSubject = subject;
    this.#lastHash = this.#hash(text);
    this.#lastIndex = this.#search(text, this.#lastHash);
    return this.#lastIndex;
  }

  /** Gives a subject without a number one that is nobody's. */
  add(subject: string, index: number): void {
    if (index >= this.#places.length) this.#growNumbers(index);
    if ((this.size + 1) * 3 > this.#slots.length * 2) this.#growSlots();
    const text = kept(subject);
    if (this.#lastSubject !== subject) this.#lastHash = this.#hash(text);
    this.#lastSubject = subject;
    this.#lastIndex = index;
    this.#places[index] = this.#texts.add(text) + 1;
    this.#hashes[index] = this.#lastHash;
    this.#put(index, this.#lastHash);
    this.size++;
    this.capacity = Math.max(this.capacity, index + 1);
  }

  /** True when the number is a subject's. */
  has(index: number): boolean {
    return (this.#places[index] ?? 0) !== 0;
  }

  /** The text of a subject, or its digest; either is found. */
  text(index: number): string | undefined {
    const place = this.#places[index] ?? 0;
    return place === 0 ? undefined : this.#texts.read(place - 1);
  }

  /** Takes the number of a subject away. */
  delete(index: number): void {
    const place = this.#places[index] ?? 0;
    if (place === 0) return;
    this.#texts.remove(place - 1);
    this.#places[index] = 0;
    this.size--;
    if (this.#lastIndex === index) this.#lastSubject = undefined;
    this.#close(this.#slotOf(index));
  }

  #search(text: string, code: number): number | undefined {
    const mask = this.#slots.length - 1;
    for (let slot = code & mask; ; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] ?? 0) - 1;
      if (index < 0) return undefined;
      if (this.#hashes[index] !== code) continue;
      if (this.#texts.has((this.#places[index] ?? 0) - 1, text)) return index;
    }
  }

  #put(index: number, code: number): void {
    const mask = this.#slots.length - 1;
    let slot = code & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index + 1;
  }

  #slotOf(index: number): number {
    const mask = this.#slots.length - 1;
    let slot = (this.#hashes[index] ?? 0) & mask;
    while (this.#slots[slot] !== index + 1) slot = (slot + 1) & mask;
    return slot;
  }

  /** Empties a slot, and moves up those behind it that would no longer be found. */
  #close(empty: number): void {
    const mask = this.#slots.length - 1;
    let hole = empty;
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] ?? 0) - 1;
      if (index < 0) break;
      const home = (this.#hashes[index] ?? 0) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#slots[hole] = index + 1;
      hole = slot;
    }
    this.#slots[hole] = 0;
  }

  #growSlots(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let index = 0; index < this.capacity; index++) {
      if (this.has(index)) this.#put(index, this.#hashes[index] ?? 0);
    }
  }

  #growNumbers(index: number): void {
    const capacity = Math.max(index + 1, this.#places.length * 2);
    const [hashes, places] = [this.#hashes, this.#places];
    this.#hashes = new Int32Array(capacity);
    this.#hashes.set(hashes);
    this.#places = new Uint32Array(capacity);
    this.#places.set(places);
  }
}

function kept(subject: string): string {
  if (subject.length <= longestText) return subject;
  return digestMark + hash("sha256", subject, "base64url");
}
