import { markup, type Html } from "../html.ts";
import type { LoggedRequest } from "../request-log.ts";
import type { Message } from "./message.ts";
import type { SendFields } from "./send-fields.ts";

type Find = (sid: string) => Message | undefined;

/** The messages as they were asked for, newest first, with what became of them. */
export function viewTwilio(
  requests: readonly (LoggedRequest & SendFields)[],
  find: Find,
  origin: string,
): Html {
  const list = markup`<ol>${requests.toReversed().map((request) => viewRequest(request, find))}</ol>`;
  return markup`<section>
    <header class="channel">
      <h2>Twilio</h2><span>${requests.length} requests kept</span><span class="aside">newest first</span>
    </header>
    ${requests.length === 0 ? viewEmpty() : list}
    ${viewCommands(origin)}
  </section>`;
}

function viewEmpty(): Html {
  return markup`<div class="empty">
    <p>No text message has been sent yet.</p>
    <p>What is sent over this sandbox appears here by itself, and reaches no phone.</p>
  </div>`;
}

function viewRequest(request: LoggedRequest & SendFields, find: Find): Html {
  const { form, receivedAt, sid } = request;
  const message = sid === null ? undefined : find(sid);
  return markup`<li class="${sid === null ? "refused" : "posted"}">
    <div class="avatar" aria-hidden="true">${sid === null ? "!" : "✉"}</div>
    <div class="message">
      <div class="byline">
        <b>${form["To"] ?? ""}</b>
        <time datetime="${receivedAt}">${receivedAt.slice(11, 19)} UTC</time>
        <span class="aside">${message?.status ?? ""}</span>
      </div>
      <div class="body"><div class="text">${form["Body"] ?? ""}</div></div>
      ${viewOutcome(request, message)}
    </div>
  </li>`;
}

function viewOutcome(
  { status, errorCode, fault, sid }: LoggedRequest & SendFields,
  message?: Message,
): Html {
  if (sid === null) {
    const answer = status === null ? "connection reset" : `answered ${status} ${errorCode ?? ""}`;
    return markup`<div class="outcome">not taken: ${answer}</div>`;
  }
  if (status === null) return markup`<div class="outcome">taken, not answered (${fault})</div>`;
  const code = message?.errorCode ?? null;
  return code === null
    ? markup``
    : markup`<div class="outcome">${message?.status ?? ""}: ${code}</div>`;
}

function viewCommands(origin: string): Html {
  const fault = `curl -X PUT -d '{"kind":"429","retryAfterSeconds":5,"times":2}' ${origin}/_sandbox/twilio/fault`;
  const callbacks = `curl -X PUT -d '{"delayMs":1000,"copies":2}' ${origin}/_sandbox/twilio/callbacks`;
  const limit = `curl -X PUT -d '{"perSecond":1}' ${origin}/_sandbox/twilio/rate-limit`;
  const clear = `curl -X DELETE ${origin}/_sandbox/twilio/messages`;
  return markup`
    <details>
      <summary>Commands</summary>
      <dl>
        <dt>Refuse the next two requests</dt>
        <dd><code>${fault}</code></dd>
        <dd class="note">
          Kinds: none, 500, 503, 429 (retryAfterSeconds), slow (delayMs), dead, lost, 30007, or an
          error code of Twilio such as 21610. Without times it lasts until it is changed.
        </dd>
        <dd class="note">
          Numbers: +15005550001 invalid, +15005550004 opted out, +15005550608 unverified,
          +15005550307 filtered by the carrier, +15005550303 unreachable.
        </dd>
        <dt>Status callbacks: later, and each twice</dt>
        <dd><code>${callbacks}</code></dd>
        <dt>Allow one message per second</dt>
        <dd><code>${limit}</code></dd>
        <dt>Forget the messages</dt>
        <dd><code>${clear}</code></dd>
      </dl>
    </details>
  `;
}
