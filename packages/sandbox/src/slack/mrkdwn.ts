import { markup, type Html } from "../html.ts";

/** Slack cuts a message's text here (docs.slack.dev/messaging/formatting-message-text). */
const maxTextLength = 40_000;

type View = (inner: string, level: number) => Html;

// In this order: nothing inside code is formatted, and an address may hold an underscore.
const spans: readonly (readonly [pattern: RegExp, view: View])[] = [
  [/```([^]+?)```/g, (inner) => markup`<pre>${decode(inner.replace(/^\n/, ""))}</pre>`],
  [/`([^`\n]+)`/g, (inner) => markup`<code>${decode(inner)}</code>`],
  [/<([^<>\n]+)>/g, viewReference],
  [emphasis("\\*"), (inner, level) => markup`<b>${viewText(inner, level)}</b>`],
  [emphasis("_"), (inner, level) => markup`<i>${viewText(inner, level)}</i>`],
  [emphasis("~"), (inner, level) => markup`<s>${viewText(inner, level)}</s>`],
];

/** Text between two marks: no letter or digit outside them, and no space just inside. */
function emphasis(mark: string): RegExp {
  return new RegExp(
    `(?<![A-Za-z0-9])${mark}(?!\\s)([^${mark}\\n]+)(?<!\\s)${mark}(?![A-Za-z0-9])`,
    "g",
  );
}

/**
 * Slack's mrkdwn as a person sees it: bold, italic, strike, code, links, mentions and quotes
 * (docs.slack.dev/messaging/formatting-message-text).
 */
export function viewMrkdwn(text: string): Html {
  return markup`<div class="text">${viewText(text.slice(0, maxTextLength))}</div>`;
}

/** Text without formatting, as in Slack's `plain_text`. */
export function viewPlain(text: string): Html {
  return markup`<div class="text">${text.slice(0, maxTextLength)}</div>`;
}

/** Formats by the spans from `level` on; what lies between matches goes to the next level. */
function viewText(text: string, level = 0): Html {
  const span = spans[level];
  if (span === undefined) return markup`${decode(text)}`;
  const [pattern, view] = span;
  const parts: Html[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push(viewText(text.slice(end, match.index), level + 1));
    parts.push(view(match[1] ?? "", level + 1));
    end = match.index + match[0].length;
  }
  parts.push(viewText(text.slice(end), level + 1));
  return markup`${parts}`;
}

/** What stands between angle brackets: a link, or a person, channel or group mention. */
function viewReference(inner: string): Html {
  const [target = "", label] = inner.split("|", 2);
  if (/^(https?:|mailto:)/.test(target)) {
    return markup`<a href="${decode(target)}" rel="noreferrer">${decode(label ?? target)}</a>`;
  }
  const mark = { "@": "@", "!": "@", "#": "#" }[target.charAt(0)];
  if (mark === undefined) return markup`${`<${decode(inner)}>`}`;
  return markup`<span class="mention">${mark}${decode(label ?? target.slice(1))}</span>`;
}

/** Senders escape these three characters, and only these. */
function decode(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
