/** Text that is HTML already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a piece of {@link html}: texts are escaped, undefined and false are nothing. */
export type HtmlPart = Html | string | number | undefined | false | readonly HtmlPart[];

/** HTML with `parts` in it. Attributes are written in double quotes. */
export function html(texts: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  let text = texts[0] ?? "";
  parts.forEach((part, index) => {
    text += toText(part) + (texts[index + 1] ?? "");
  });
  return new Html(text);
}

function toText(part: HtmlPart): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(toText).join("");
  return String(part).replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
