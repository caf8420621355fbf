import { markup, type Html } from "../html.ts";
import { isRecord, listOf } from "../json-fields.ts";
import { viewBlock } from "./blocks.ts";
import type { ReceivedMessage } from "./messages.ts";
import { viewMrkdwn, viewPlain } from "./mrkdwn.ts";

/** The messages as they would look in the channel, newest first, and those that were refused. */
export function viewMessages(messages: readonly ReceivedMessage[], origin: string): Html {
  const posted = messages.filter((message) => message.posted).length;
  const refused = messages.length - posted;
  const total = `${count(posted, "message")} posted${refused > 0 ? `, ${refused} refused` : ""}`;
  const list = markup`<ol>${messages.toReversed().map(viewMessage)}</ol>`;
  return markup`<section>
    <header class="channel">
      <h2>Slack</h2><span>${total}</span><span class="aside">newest first</span>
    </header>
    ${messages.length === 0 ? viewEmpty() : list}
    ${viewCommands(origin)}
  </section>`;
}

function viewEmpty(): Html {
  return markup`<div class="empty">
    <p>No message has arrived yet.</p>
    <p>What is posted to a webhook of this sandbox appears here by itself.</p>
  </div>`;
}

function viewMessage(message: ReceivedMessage): Html {
  const { posted, receivedAt, webhook, body } = message;
  const name = sender(body);
  return markup`<li class="${posted ? "posted" : "refused"}">
    <div class="avatar" aria-hidden="true">${posted ? name.charAt(0).toUpperCase() : "!"}</div>
    <div class="message">
      <div class="byline">
        <b>${name}</b><span class="badge">APP</span>
        <time datetime="${receivedAt}">${receivedAt.slice(11, 19)} UTC</time>
        <span class="aside">${webhook}</span>
      </div>
      <div class="body">${viewBody(body)}</div>
      ${viewOutcome(message)}
    </div>
  </li>`;
}

function viewOutcome({ posted, status, error, fault }: ReceivedMessage): Html {
  if (posted && status !== null) return markup``;
  if (posted) return markup`<div class="outcome">posted, not answered (${fault})</div>`;
  const answer = status === null ? "connection reset" : `answered ${status} ${error ?? ""}`;
  return markup`<div class="outcome">not posted: ${answer}</div>`;
}

/** The blocks when there are any; the text is then what Slack shows in the notification only. */
function viewBody(body: unknown): Html {
  if (!isRecord(body)) return viewPlain(String(body));
  const text = typeof body["text"] === "string" ? body["text"] : "";
  const attachments = listOf(body["attachments"]).map(viewAttachment);
  const blocks = listOf(body["blocks"]).map(viewBlock);
  if (blocks.length === 0) return markup`${viewMrkdwn(text)}${attachments}`;
  const notification =
    text === "" ? markup`` : markup`<div class="note">Notification: ${text}</div>`;
  return markup`${blocks}${attachments}${notification}`;
}

function viewAttachment(attachment: unknown): Html {
  if (!isRecord(attachment)) return markup``;
  const parts = listOf(attachment["blocks"]).map(viewBlock);
  const texts = ["pretext", "title", "text", "fallback"]
    .map((field) => attachment[field])
    .filter((text) => typeof text === "string")
    .slice(0, parts.length > 0 ? 0 : 3);
  return markup`<div class="attachment">${parts}${texts.map(viewMrkdwn)}</div>`;
}

function sender(body: unknown): string {
  const name = isRecord(body) ? body["username"] : undefined;
  return typeof name === "string" && name !== "" ? name : "incoming-webhook";
}

function viewCommands(origin: string): Html {
  const post = `curl -d '{"text":"Hello"}' -H 'Content-Type: application/json' ${origin}/services/T0/B0/sandbox`;
  const fault = `curl -X PUT -d '{"kind":"503","times":2}' ${origin}/_sandbox/slack/fault`;
  const limit = `curl -X PUT -d '{"enabled":true}' ${origin}/_sandbox/slack/rate-limit`;
  const clear = `curl -X DELETE ${origin}/_sandbox/slack/messages`;
  return markup`
    <details>
      <summary>Commands</summary>
      <dl>
        <dt>Post a message</dt>
        <dd><code>${post}</code></dd>
        <dt>Refuse the next two requests</dt>
        <dd><code>${fault}</code></dd>
        <dd class="note">
          Kinds: none, 500, 503, 429 (retryAfterSeconds), slow (delayMs), dead, or an error word of
          Slack such as channel_is_archived. Without times it lasts until it is changed.
        </dd>
        <dt>Allow one message per second and webhook</dt>
        <dd><code>${limit}</code></dd>
        <dt>Forget the messages</dt>
        <dd><code>${clear}</code></dd>
      </dl>
    </details>
  `;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
