import { markup, type Html } from "../html.ts";
import type { Mail } from "./mailbox.ts";

/** Mails that arrived, newest first. */
export function viewMails(mails: readonly Mail[], origin: string): Html {
  const accepted = mails.filter((mail) => mail.accepted).length;
  const list = markup`<ol>${mails.toReversed().map(viewMail)}</ol>`;
  const empty = markup`<div class="empty"><p>No mail yet.</p></div>`;
  return markup`<section>
    <header class="channel">
      <h2>Mail</h2><span>${accepted} accepted</span><span class="aside">newest first</span>
    </header>
    ${mails.length === 0 ? empty : list}
    <details>
      <summary>Commands</summary>
      <dl>
        <dt>Where it is sent to</dt>
        <dd><code>curl ${origin}/_sandbox/mail/address</code></dd>
        <dt>Refuse the next two mails for now</dt>
        <dd><code>curl -X PUT -d '{"kind":"451","times":2}' ${origin}/_sandbox/mail/fault</code></dd>
      </dl>
    </details>
  </section>`;
}

function viewMail({ accepted, receivedAt, to, subject, text, repeated }: Mail): Html {
  const note = `${accepted ? "" : "refused "}to ${to.join(", ")}${repeated ? ", a repeat" : ""}`;
  return markup`<li class="${accepted ? "posted" : "refused"}">
    <div class="avatar" aria-hidden="true">@</div>
    <div class="message">
      <div class="byline">
        <strong>${subject}</strong>
        <time datetime="${receivedAt}">${receivedAt.slice(11, 19)} UTC</time>
        <span class="aside">${note}</span>
      </div>
      <div class="body"><div class="text">${text}</div></div>
    </div>
  </li>`;
}
