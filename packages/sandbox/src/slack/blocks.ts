import { markup, type Html } from "../html.ts";
import { isRecord, listOf } from "../json-fields.ts";
import { viewMrkdwn, viewPlain } from "./mrkdwn.ts";

/** One Block Kit block as a person sees it; an unusual one shows its type. */
export function viewBlock(block: unknown): Html {
  if (!isRecord(block)) return markup``;
  switch (block["type"]) {
    case "header":
      return markup`<h3>${viewTextObject(block["text"])}</h3>`;
    case "section":
      return viewSection(block);
    case "divider":
      return markup`<hr />`;
    case "context":
      return markup`<div class="context">${listOf(block["elements"]).map(viewElement)}</div>`;
    case "actions":
      return markup`<div class="actions">${listOf(block["elements"]).map(viewElement)}</div>`;
    case "image":
      return viewImage(block);
    case "rich_text":
      return viewPlain(plainTextOf(block));
    default:
      return markup`<span class="kind">${String(block["type"])} block</span>`;
  }
}

function viewSection(block: Readonly<Record<string, unknown>>): Html {
  const fields = listOf(block["fields"]).map(
    (field) => markup`<div>${viewTextObject(field)}</div>`,
  );
  const text = markup`${viewTextObject(block["text"])}`;
  const grid = fields.length > 0 ? markup`<div class="fields">${fields}</div>` : markup``;
  return markup`<div class="section">
    <div>${text}${grid}</div>
    ${viewElement(block["accessory"])}
  </div>`;
}

/** A part of an actions or context block, or what stands beside a section. */
function viewElement(element: unknown): Html {
  if (!isRecord(element)) return markup``;
  if (element["type"] === "button") {
    const style = element["style"] === "danger" || element["style"] === "primary";
    const kind = style ? String(element["style"]) : "plain";
    return markup`<span class="button ${kind}">${viewTextObject(element["text"])}</span>`;
  }
  if (element["type"] === "image") return viewImage(element);
  if (typeof element["text"] === "string") return viewTextObject(element);
  return markup`<span class="kind">${String(element["type"])}</span>`;
}

/** Pictures are named, not fetched: the page asks nothing of other servers. */
function viewImage(image: Readonly<Record<string, unknown>>): Html {
  const name = image["alt_text"] ?? image["title"] ?? "picture";
  return markup`<span class="kind">Image: ${typeof name === "string" ? name : "picture"}</span>`;
}

/** A text composition object: `mrkdwn`, or `plain_text` as it is. */
function viewTextObject(object: unknown): Html {
  if (!isRecord(object) || typeof object["text"] !== "string") return markup``;
  return object["type"] === "mrkdwn" ? viewMrkdwn(object["text"]) : viewPlain(object["text"]);
}

/** The words of a rich text block; each element of its list is a line. */
function plainTextOf(block: Readonly<Record<string, unknown>>): string {
  const lines = listOf(block["elements"]).map((line) => {
    const runs = isRecord(line) ? listOf(line["elements"]) : [];
    return runs.map(wordsOf).join("");
  });
  return lines.join("\n");
}

function wordsOf(run: unknown): string {
  const words = isRecord(run) ? (run["text"] ?? run["url"]) : undefined;
  return typeof words === "string" ? words : "";
}
