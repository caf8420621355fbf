import { isObject } from "./shape.ts";

/** Told of what cannot be followed, with its JSON pointer. */
type Refuse = (pointer: string, problem: string, remedy: string) => void;

const deepest = 64;

/** Puts what references of one document point to in their place. */
export class Inliner {
  readonly #root: Readonly<Record<string, unknown>>;
  readonly #refuse: Refuse;

  constructor(root: Readonly<Record<string, unknown>>, refuse: Refuse) {
    this.#root = root;
    this.#refuse = refuse;
  }

  /** `value`, which stands at `pointer`, without references. */
  inline(value: unknown, pointer: string, open: readonly string[] = [], depth = 0): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (depth > deepest) {
      this.#refuse(pointer, "is nested too deeply", "Write fewer levels.");
      return {};
    }
    if (Array.isArray(value)) {
      return value.map((item, place) => this.inline(item, `${pointer}/${place}`, open, depth + 1));
    }
    const object = value as Readonly<Record<string, unknown>>;
    const { $ref: target, ...beside } = object;
    if (typeof target === "string") return this.#follow(target, beside, pointer, open, depth);
    return Object.fromEntries(
      Object.entries(object).map(([name, inner]) => {
        const at = `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
        return [name, this.inline(inner, at, open, depth + 1)];
      }),
    );
  }

  #follow(
    target: string,
    beside: Readonly<Record<string, unknown>>,
    pointer: string,
    open: readonly string[],
    depth: number,
  ): unknown {
    if (open.includes(target)) {
      const remedy = "Declare this route by hand, with a schema of Zod or TypeBox.";
      this.#refuse(pointer, "refers to itself", remedy);
      return {};
    }
    const found = target.startsWith("#/") ? this.#find(target) : undefined;
    if (found === undefined) {
      const remedy = "Point to a place in this document; bundle those of several files first.";
      this.#refuse(`${pointer}/$ref`, "points nowhere", remedy);
      return {};
    }
    const inlined = this.inline(found, target.slice(1), [...open, target], depth + 1);
    // A schema may say more beside a reference (JSON Schema draft 2020-12), a description for instance.
    return isObject(inlined) ? { ...inlined, ...beside } : inlined;
  }

  #find(target: string): unknown {
    let value: unknown = this.#root;
    for (const token of target.slice(2).split("/")) {
      if (typeof value !== "object" || value === null) return undefined;
      const name = decodeURIComponent(token).replaceAll("~1", "/").replaceAll("~0", "~");
      value = (value as Readonly<Record<string, unknown>>)[name];
    }
    return value;
  }
}
