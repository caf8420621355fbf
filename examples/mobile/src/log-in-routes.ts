import { ApiForgeError, badRequest, defineRoute, type Tokens } from "apiforge";
import { z } from "zod";

import type { CodeMessageJob } from "./code-message.ts";
import { insertLogIn, tryCode, userOf } from "./log-ins-table.ts";

const tags = ["mobile"];

/** The pair of RFC 6749 section 5.1; `POST /oauth/token` answers the same. */
const tokenPair = z.object({
  access_token: z.string(),
  token_type: z.literal("Bearer"),
  expires_in: z.int(),
  refresh_token: z.string().optional(),
  scope: z.string().optional(),
});

/** How somebody with a phone logs in: a code comes by text message, and a session is got for it. */
export function logInRoutes(codeMessage: CodeMessageJob, tokens: Pick<Tokens, "startSession">) {
  return [beginRoute(codeMessage), proveRoute(tokens)];
}

function beginRoute(codeMessage: CodeMessageJob) {
  return defineRoute({
    method: "POST",
    path: "/mobile/log-ins",
    summary: "Begin to log in; a code comes by text message",
    tags,
    auth: "none",
    limits: [{ name: "log-ins", limit: 60, per: "1h" }],
    body: z.object({ phone: z.e164() }),
    replies: { 202: z.object({ logInId: z.string(), expiresAt: z.iso.datetime() }) },
    handler: async ({ body: { phone }, tx }) => {
      const nowMs = Date.now();
      const begun = await insertLogIn(tx, phone, nowMs);
      if ("notBeforeMs" in begun) throw tooManyMessages(begun.notBeforeMs - nowMs);
      await tx.enqueue(codeMessage, { logInId: begun.id });
      const expiresAt = new Date(begun.expiresAt).toISOString();
      return { status: 202, body: { logInId: begun.id, expiresAt } };
    },
  });
}

function proveRoute(tokens: Pick<Tokens, "startSession">) {
  return defineRoute({
    method: "POST",
    path: "/mobile/log-ins/:id/code",
    summary: "Get a session for the code",
    tags,
    auth: "none",
    limits: [{ name: "codes", limit: 120, per: "1h" }],
    body: z.object({ code: z.string().regex(/^\d{6}$/) }),
    replies: { 200: tokenPair },
    handler: async ({ params: { id }, body: { code }, tx }) => {
      const phone = await tryCode(tx, id, code, Date.now());
      // Returned, not thrown: a throw would take back that it was counted.
      if (phone === undefined) {
        return badRequest(
          "code_invalid",
          "The code is wrong, used, expired, or was tried too often.",
        );
      }
      const user = await userOf(tx, phone);
      const session = { subject: user, tenant: user, role: "member" };
      const { tokens: body } = await tokens.startSession(tx, session);
      return { status: 200, body, headers: { "cache-control": "no-store" } };
    },
  });
}

function tooManyMessages(waitMs: number): ApiForgeError {
  return new ApiForgeError(
    "rate_limited",
    { type: "rate_limit_error", status: 429, retryable: true },
    "This phone was sent three codes within the hour.",
    { retryAfterSeconds: Math.ceil(waitMs / 1_000) },
  );
}
