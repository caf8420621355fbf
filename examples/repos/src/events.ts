import { defineEvent } from "apiforge";
import { z } from "zod";

/** A repository has a topic that it had not before. */
export const topicAdded = defineEvent(
  "repository.topic_added",
  z.object({ owner: z.string(), name: z.string(), topic: z.string(), addedBy: z.string() }),
);
