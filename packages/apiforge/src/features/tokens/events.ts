import { z } from "zod";

import { defineEvent } from "../../durable/index.ts";

const endReasons = ["logout", "refresh_token_reuse", "store_set_back"] as const;
/** Why a session has ended before its time; see {@link sessionEnded}. */
export type EndReason = (typeof endReasons)[number];

/**
 * A session has ended by hand (`logout`), because a refresh token was presented after its
 * successor had been used or its grace was over (`refresh_token_reuse`: one of the two who had it was
 * not its owner), or because one was presented that the store has not given out yet
 * (`store_set_back`: it was set back to a backup, and tokens that had been used would hold again). In
 * the commit that ends it.
 */
export const sessionEnded = defineEvent(
  "session.ended",
  z.object({
    sessionId: z.string(),
    subject: z.string(),
    clientId: z.string().nullable(),
    reason: z.enum(endReasons),
  }),
);
