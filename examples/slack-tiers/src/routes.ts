import { defineRoute, listQuery, newId, pageOf } from "apiforge";
import { z } from "zod";

import { messagePosted } from "./events.ts";
import { insertMessage, listMessages } from "./messages-table.ts";
import {
  maxTextLength,
  message,
  newMessage,
  settings,
  workspaceEvents,
  type Message,
} from "./schema.ts";
import { tierLimit, tierLimits } from "./tiers.ts";
import { readWorkspaceEvents } from "./workspace-events.ts";

const tags = ["slack"];

const settingsRoute = defineRoute({
  method: "GET",
  path: "/slack/settings",
  summary: "Read what holds in the workspace",
  tags,
  limits: [tierLimit(1)],
  transaction: "none",
  replies: { 200: settings },
  handler: ({ principal }) => ({
    status: 200,
    body: { workspace: principal.tenant, maxTextLength, requestsPerMinute: tierLimits },
  }),
});

const postRoute = defineRoute({
  method: "POST",
  path: "/slack/messages",
  summary: "Post a message",
  tags,
  limits: [tierLimit(2)],
  body: newMessage,
  replies: { 201: message },
  handler: async ({ body, principal, tx }) => {
    const posted: Message = {
      ...body,
      id: newId("msg"),
      postedBy: principal.subject,
      postedAt: new Date().toISOString(),
    };
    await insertMessage(tx, principal.tenant, posted);
    tx.emit(messagePosted, posted);
    return { status: 201, body: posted };
  },
});

const listRoute = defineRoute({
  method: "GET",
  path: "/slack/messages",
  summary: "List messages, newest first",
  tags,
  limits: [tierLimit(3)],
  query: listQuery({ channel: z.string().max(80).optional() }),
  replies: { 200: pageOf(message) },
  handler: async ({ query: { channel, limit }, principal, tx, list }) => {
    const before = list.position<{ id: string }>()?.id;
    const page = { channel, before, limit: limit + 1 };
    const rows = await listMessages(tx, principal.tenant, page);
    return { status: 200, body: list.page(rows, limit, ({ id }) => ({ id })) };
  },
});

const eventsRoute = defineRoute({
  method: "GET",
  path: "/slack/events",
  summary: "List what happened in the workspace, in order",
  tags,
  limits: [tierLimit(4)],
  query: z.object({
    after: z.coerce.number<number>().int().min(0).default(0),
    limit: z.coerce.number<number>().int().min(1).max(100).default(20),
  }),
  replies: { 200: workspaceEvents },
  handler: async ({ query: { after, limit }, principal, tx }) => {
    const rows = await readWorkspaceEvents(tx, principal.tenant, after, limit + 1);
    const data = rows.slice(0, limit);
    const lastSeq = data.at(-1)?.seq ?? after;
    return { status: 200, body: { data, hasMore: rows.length > limit, lastSeq } };
  },
});

/** One route of each tier. */
export const slackRoutes = [settingsRoute, postRoute, listRoute, eventsRoute];
