const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** HTML that is safe to put into a page as it is. Made by {@link markup} and {@link trust} only. */
export interface Html {
  readonly source: string;
}

const safe = new WeakSet<object>();

type Part = string | number | Html | readonly Html[];

/**
 * A piece of HTML from a template; whatever is put in is escaped unless it is {@link Html}.
 * The tag is not called `html`: formatters add white space to such templates, and here it counts.
 */
export function markup(parts: TemplateStringsArray, ...values: readonly Part[]): Html {
  return trust(parts.reduce((source, part, index) => source + sourceOf(values[index - 1]) + part));
}

/** HTML written in the program's source, such as a style sheet. */
export function trust(source: string): Html {
  const result = { source };
  safe.add(result);
  return result;
}

function sourceOf(part: Part | undefined): string {
  if (part === undefined) return "";
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  if (!("source" in part)) return part.map(sourceOf).join("");
  if (!safe.has(part)) throw new TypeError("HTML must be made by markup``");
  return part.source;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
