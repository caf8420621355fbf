import { defineRoute, type Tokens } from "apiforge";
import { z } from "zod";

/** Log-out, here or on every device. What a token still allows ends with it, minutes later. */
export function sessionRoute(tokens: Pick<Tokens, "endSessions">) {
  return defineRoute({
    method: "DELETE",
    path: "/mobile/session",
    summary: "Log out",
    tags: ["mobile"],
    query: z.object({ everywhere: z.enum(["true", "false"]).default("false") }),
    replies: { 204: null },
    handler: async ({ query: { everywhere }, principal, tx }) => {
      const id = principal.claims?.["sid"];
      if (everywhere === "true") await tokens.endSessions(tx, principal);
      else if (typeof id === "string") await tokens.endSessions(tx, principal, id);
      return { status: 204 };
    },
  });
}
