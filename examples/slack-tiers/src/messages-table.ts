import { sql, type Reader, type Transaction } from "apiforge";

import type { Message } from "./schema.ts";

interface MessageRow {
  readonly id: string;
  readonly channel: string;
  readonly text: string;
  readonly posted_by: string;
  readonly posted_at: number;
}

export async function insertMessage(
  tx: Transaction,
  workspace: string,
  { id, channel, text, postedBy, postedAt }: Message,
): Promise<void> {
  await tx.sql`
    insert into slack_messages (tenant, id, channel, text, posted_by, posted_at)
    values (${workspace}, ${id}, ${channel}, ${text}, ${postedBy}, ${Date.parse(postedAt)})`;
}

/** What a page of messages is chosen by. Ids sort by time, so the newest come first. */
export interface MessagePage {
  readonly channel: string | undefined;
  /** Id of the last message of the page before. */
  readonly before: string | undefined;
  readonly limit: number;
}

export async function listMessages(
  reader: Reader,
  workspace: string,
  page: MessagePage,
): Promise<Message[]> {
  const channel = page.channel === undefined ? sql`` : sql`and channel = ${page.channel}`;
  const before = page.before === undefined ? sql`` : sql`and id < ${page.before}`;
  const rows = await reader.sql<MessageRow>`
    select * from slack_messages where tenant = ${workspace} ${channel} ${before}
    order by id desc limit ${page.limit}`;
  return rows.map(toMessage);
}

function toMessage(row: MessageRow): Message {
  return {
    id: row.id,
    channel: row.channel,
    text: row.text,
    postedBy: row.posted_by,
    postedAt: new Date(row.posted_at).toISOString(),
  };
}
