import { ApiForgeError, badRequest, defineRoute, type ApiKeys } from "apiforge";
import { z } from "zod";

import { freePlan, selfServiceScopes } from "./plans.ts";
import { developerOf, insertRegistration, useCode } from "./registrations-table.ts";
import type { VerificationMailJob } from "./verification-mail.ts";

const tags = ["public-api"];
// Nobody is known here, so it is addresses that are counted.
const limits = [{ name: "registrations", limit: 60, per: "1h" }] as const;
const tries = [{ name: "verifications", limit: 60, per: "1h" }] as const;

/** Where developers get their keys by themselves. */
export function registrationRoutes(mail: VerificationMailJob, keys: Pick<ApiKeys, "issue">) {
  return [registerRoute(mail), verifyRoute(keys)];
}

function registerRoute(mail: VerificationMailJob) {
  return defineRoute({
    method: "POST",
    path: "/public-api/registrations",
    summary: "Ask for a key; a code comes by mail",
    tags,
    auth: "none",
    limits,
    body: z.object({ email: z.email().max(254).toLowerCase() }),
    replies: { 202: z.object({ status: z.literal("mail_sent") }) },
    handler: async ({ body: { email }, tx }) => {
      const nowMs = Date.now();
      const registration = await insertRegistration(tx, email, nowMs);
      if ("notBeforeMs" in registration) throw tooManyMails(registration.notBeforeMs - nowMs);
      await tx.enqueue(mail, { registrationId: registration.id });
      // The same whoever has the address: nobody learns who is a developer here.
      return { status: 202, body: { status: "mail_sent" } };
    },
  });
}

function verifyRoute(keys: Pick<ApiKeys, "issue">) {
  return defineRoute({
    method: "POST",
    path: "/public-api/registrations/verify",
    summary: "Get a key for the code of a mail; only this answer tells it",
    tags,
    auth: "none",
    limits: tries,
    body: z.object({ code: z.string().min(1).max(64) }),
    replies: { 201: z.object({ id: z.string(), key: z.string(), plan: z.string() }) },
    handler: async ({ body: { code }, tx }) => {
      const email = await useCode(tx, code, Date.now());
      if (email === undefined) {
        throw badRequest("code_invalid", "The code is unknown, used or expired.");
      }
      const { id: developer, plan } = await developerOf(tx, email, freePlan, Date.now());
      const { id, key } = await keys.issue(tx, {
        tenant: developer,
        subject: developer,
        createdBy: developer,
        name: "Registered by mail",
        mode: "live",
        scopes: selfServiceScopes,
        plan,
      });
      return { status: 201, body: { id, key, plan }, headers: { "cache-control": "no-store" } };
    },
  });
}

function tooManyMails(waitMs: number): ApiForgeError {
  return new ApiForgeError(
    "rate_limited",
    { type: "rate_limit_error", status: 429, retryable: true },
    "This address was sent three codes within the hour.",
    { retryAfterSeconds: Math.ceil(waitMs / 1_000) },
  );
}
