import { markup, type Html } from "../html.ts";
import type { Delivery } from "./deliveries.ts";
import type { InboxNames } from "./inbox.ts";

/** What arrived at an inbox, newest first. */
export function viewDeliveries(
  deliveries: readonly Delivery[],
  { name, title }: InboxNames,
  origin: string,
): Html {
  const accepted = deliveries.filter((delivery) => delivery.accepted).length;
  const list = markup`<ol>${deliveries.toReversed().map(viewDelivery)}</ol>`;
  const empty = markup`<div class="empty"><p>Nothing has arrived yet.</p></div>`;
  return markup`<section>
    <header class="channel">
      <h2>${title}</h2><span>${accepted} accepted</span><span class="aside">newest first</span>
    </header>
    ${deliveries.length === 0 ? empty : list}
    <details>
      <summary>Commands</summary>
      <dl>
        <dt>Refuse the next two requests</dt>
        <dd><code>curl -X PUT -d '{"kind":"503","times":2}' ${origin}/_sandbox/${name}/fault</code></dd>
      </dl>
    </details>
  </section>`;
}

function viewDelivery({ accepted, receivedAt, body, status, repeated }: Delivery): Html {
  const outcome = status === null ? "not answered" : `answered ${status}`;
  const note = `${outcome}${repeated ? ", a repeat" : ""}`;
  return markup`<li class="${accepted ? "posted" : "refused"}">
    <div class="avatar" aria-hidden="true">${accepted ? "✓" : "!"}</div>
    <div class="message">
      <div class="byline">
        <time datetime="${receivedAt}">${receivedAt.slice(11, 19)} UTC</time>
        <span class="aside">${note}</span>
      </div>
      <div class="body"><div class="text">${JSON.stringify(body)}</div></div>
    </div>
  </li>`;
}
