/** One thing that is wrong with a configuration. */
export interface ConfigProblem {
  /** Where it stands, such as `routes[3].limits.perMinute`, or the name of a setting; empty for the whole. */
  readonly path: string;
  /** What is wrong, as the end of a sentence about it. Never holds a value: endpoints may carry passwords. */
  readonly problem: string;
  /** What to do, as a sentence. */
  readonly remedy: string;
}

/** The way to a value. */
export type ConfigPath = readonly (string | number)[];

/** `["routes", 3, "limits"]` as `routes[3].limits`. */
export function pathText(path: ConfigPath): string {
  let text = "";
  for (const part of path) {
    // A place in a document has its own way to be told.
    if (typeof part === "string" && part.startsWith("#/")) text += ` ${part}`;
    else if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(part)) text += text === "" ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** The problems of one configuration, all of them. */
export class Problems {
  readonly list: ConfigProblem[] = [];

  /** As they were found, but the routes' one after the other. */
  inOrder(): readonly ConfigProblem[] {
    const place = ({ path }: ConfigProblem): number =>
      Number(/^routes\[(\d+)\]/.exec(path)?.[1] ?? -1);
    return this.list.toSorted((one, other) => place(one) - place(other));
  }

  add(path: ConfigPath, problem: string, remedy: string): void {
    this.list.push({ path: pathText(path), problem, remedy });
  }

  /** What a function of ours says to whoever gives it something that cannot work. */
  addError(path: ConfigPath, error: unknown): void {
    const said = error instanceof Error ? error.message : String(error);
    this.add(path, "cannot work", /[.!]$/.test(said) ? said : `${said}.`);
  }

  /** True when something is wrong at `path` or below it. */
  hasAt(path: ConfigPath): boolean {
    const start = pathText(path);
    return this.list.some(
      ({ path: at }) =>
        at === start || (at.startsWith(start) && /^[.[ ]/.test(at.slice(start.length))),
    );
  }
}
