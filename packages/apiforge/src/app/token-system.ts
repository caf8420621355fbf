import { z } from "zod";

import { defineRoute, type TrustedIssuer } from "../edge/index.ts";
import { tokenUpkeep, type Tokens } from "../features/tokens/index.ts";
import type { System } from "./system.ts";

const maxFormBytes = 16_384;

const reply = z.object({
  access_token: z.string(),
  token_type: z.literal("Bearer"),
  expires_in: z.int(),
  refresh_token: z.string().optional(),
  scope: z.string().optional(),
});
const refusal = z.object({ error: z.string(), error_description: z.string() });

// RFC 6749 section 5.1.
const uncached = { "cache-control": "no-store" };
const challenged = { ...uncached, "www-authenticate": 'Basic realm="apiforge"' };

/** What a deployment with tokens of its own serves and does besides. */
export function tokenSystem(tokens: Tokens): System {
  const route = defineRoute({
    method: "POST",
    path: "/oauth/token",
    auth: "none",
    // RFC 8705: a client with a registered certificate needs no secret, and a bound session its own.
    certificate: "noted",
    summary: "Tokens for a service, or in exchange for a refresh token (RFC 6749)",
    tags: ["tokens"],
    // A form, which is read strictly by the endpoint; errors have the form of RFC 6749 section 5.2.
    body: "bytes",
    maxBodyBytes: maxFormBytes,
    headers: z.object({
      "content-type": z.string().optional(),
      authorization: z.string().optional(),
    }),
    // The tenant of an exchange is its session's, which is known only once the token was read.
    transaction: "none",
    replies: { 200: reply, 400: refusal, 401: refusal },
    handler: async ({ body, headers, request }) => {
      const { authorization, "content-type": contentType } = headers;
      const given = { contentType, authorization, body, certificate: request.certificate };
      const answer = await tokens.opened.endpoint.answer(given, request.id);
      return { ...answer, headers: answer.status === 401 ? challenged : uncached };
    },
  });
  return { routes: [route], ...tokenUpkeep(() => tokens.opened) };
}

/** The deployment as an issuer that its own edge trusts; RFC 9068 tokens only. */
export function ownIssuer(tokens: Tokens): TrustedIssuer {
  return {
    issuer: tokens.issuer,
    audience: tokens.opened.audience,
    jwks: tokens.keys,
    algorithms: ["ES256"],
    tokenTypes: ["at+jwt"],
  };
}
