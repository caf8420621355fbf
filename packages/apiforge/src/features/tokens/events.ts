import { z } from "zod";

import { defineEvent } from "../../durable/index.ts";

/**
 * A session has ended by hand (`logout`), or because a refresh token was presented after its
 * successor had been used or its grace was over (`refresh_token_reuse`): one of the two who had it
 * was not its owner. In the commit that ends it.
 */
export const sessionEnded = defineEvent(
  "session.ended",
  z.object({
    sessionId: z.string(),
    subject: z.string(),
    clientId: z.string().nullable(),
    reason: z.enum(["logout", "refresh_token_reuse"]),
  }),
);
