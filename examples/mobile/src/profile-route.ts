import { defineRoute } from "apiforge";

import { saveProfile } from "./profiles-table.ts";
import { profile } from "./schema.ts";

/** What a user says of himself. */
export const profileRoute = defineRoute({
  method: "PUT",
  path: "/mobile/profile",
  summary: "Replace the profile",
  tags: ["mobile"],
  body: profile,
  replies: { 200: profile },
  handler: async ({ body, principal, tx }) => {
    await saveProfile(tx, principal.tenant, body);
    return { status: 200, body };
  },
});
