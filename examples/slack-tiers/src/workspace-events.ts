import { defineConsumer, type Reader } from "apiforge";

import { messagePosted } from "./events.ts";
import { message, type WorkspaceEvent } from "./schema.ts";

/**
 * Lists what happened in each workspace. A consumer is one at a time and takes the log in the order
 * of its commits, so whoever has read up to a `seq` never finds an earlier one later.
 */
export const listWorkspaceEvents = defineConsumer("slack-workspace-events", {
  events: [messagePosted.name],
  handle: async ({ event, tx }) => {
    await tx.sql`
      insert into slack_events (tenant, seq, message)
      values (${event.tenant}, ${event.seq}, ${event.data})`;
  },
});

/** The first `limit` events of `workspace` after `after`, oldest first. */
export async function readWorkspaceEvents(
  reader: Reader,
  workspace: string,
  after: number,
  limit: number,
): Promise<WorkspaceEvent[]> {
  const rows = await reader.sql<{ seq: number; message: string }>`
    select seq, message from slack_events where tenant = ${workspace} and seq > ${after}
    order by seq limit ${limit}`;
  return rows.map((row) => ({
    seq: row.seq,
    type: "message.posted",
    message: message.parse(JSON.parse(row.message)),
  }));
}
