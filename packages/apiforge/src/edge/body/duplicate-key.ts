/**
 * The path of the first key that stands twice in one object of `text`, which is valid JSON;
 * undefined when there is none. Keys are compared after unescaping: `"a"` is `"\u0061"`.
 */
export function findDuplicateKey(text: string): readonly string[] | undefined {
  return new KeyScanner(text).scanValue([]);
}

const scalar = /[^\s,\]}]+/y;
const string = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
const space = /\s*/y;

/** Walks valid JSON once; a nesting limit has been checked before. */
class KeyScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Moves past one value; answers the path of a key found twice inside it. */
  scanValue(path: readonly string[]): readonly string[] | undefined {
    const first = this.#peek();
    if (first === "{") return this.#scanObject(path);
    if (first === "[") return this.#scanArray(path);
    this.#take(first === '"' ? string : scalar);
    return undefined;
  }

  #scanObject(path: readonly string[]): readonly string[] | undefined {
    const seen = new Set<string>();
    this.#at++;
    while (this.#peek() !== "}") {
      const key = String(JSON.parse(this.#take(string)));
      const keyPath = [...path, key];
      if (seen.has(key)) return keyPath;
      seen.add(key);
      this.#skip(":");
      const found = this.scanValue(keyPath);
      if (found !== undefined) return found;
      this.#skip(",");
    }
    this.#at++;
    return undefined;
  }

  #scanArray(path: readonly string[]): readonly string[] | undefined {
    this.#at++;
    for (let index = 0; this.#peek() !== "]"; index++) {
      const found = this.scanValue([...path, String(index)]);
      if (found !== undefined) return found;
      this.#skip(",");
    }
    this.#at++;
    return undefined;
  }

  #peek(): string {
    this.#take(space);
    return this.#text.charAt(this.#at);
  }

  #skip(token: string): void {
    if (this.#peek() === token) this.#at++;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    return taken;
  }
}
