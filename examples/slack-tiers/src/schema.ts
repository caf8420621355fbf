import { z } from "zod";

/** The longest text of a message, in UTF-16 code units. */
export const maxTextLength = 4_000;

/** Body of `POST /slack/messages`. */
export const newMessage = z.object({
  channel: z.string().trim().min(1).max(80).default("general"),
  text: z.string().min(1).max(maxTextLength),
});

/** A message as apps see it. */
export const message = z.object({
  id: z.string(),
  channel: z.string(),
  text: z.string(),
  postedBy: z.string(),
  postedAt: z.iso.datetime(),
});
export type Message = z.infer<typeof message>;

/** Something that happened in a workspace, and its place in the order of what happened there. */
export const workspaceEvent = z.object({
  seq: z.int(),
  type: z.literal("message.posted"),
  message,
});
export type WorkspaceEvent = z.infer<typeof workspaceEvent>;

/** Answer of `GET /slack/events`. */
export const workspaceEvents = z.object({
  data: z.array(workspaceEvent),
  hasMore: z.boolean(),
  /** What to ask for next: `?after=`. */
  lastSeq: z.int(),
});

/** Answer of `GET /slack/settings`. */
export const settings = z.object({
  workspace: z.string(),
  maxTextLength: z.int(),
  requestsPerMinute: z.record(z.string(), z.int()),
});
