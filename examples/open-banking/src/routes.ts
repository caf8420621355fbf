import { defineProxy, upstream, type Route, type Upstream, type UpstreamOptions } from "apiforge";
import { z } from "zod";

import { correlationField, correlationId } from "./correlation.ts";

const prefix = "/open-banking";
const serverErrors = Array.from({ length: 100 }, (_, index) => 500 + index);

/** True for the paths of this system. */
export function isOpenBanking(path: string): boolean {
  return path.startsWith(`${prefix}/`);
}

/** The bank's accounts service at `url`: an answer of 5xx is asked for three times more, 2 s apart. */
export function accountsUpstream(url: string, clock?: UpstreamOptions["clock"]): Upstream {
  return upstream({
    name: "accounts",
    endpoints: [url],
    retry: { attempts: 4, statuses: serverErrors, delayMs: 2_000 },
    ...(clock === undefined ? {} : { clock }),
  });
}

// The service says more: internalAccountCode, legacySortCode, which of its machines answered. What is
// not named here does not leave.
const accounts = z.object({
  accounts: z.array(
    z.object({
      accountId: z.string(),
      currency: z.string(),
      accountType: z.string(),
      nickname: z.string().optional(),
      iban: z.string(),
      balance: z.string(),
    }),
  ),
});

/** What payment service providers may ask a bank for. */
export function openBankingRoutes(behind: Upstream): readonly Route[] {
  return defineProxy({
    path: `${prefix}/accounts`,
    methods: ["GET"],
    summary: "Accounts of the customer whom the token speaks for",
    tags: ["open-banking"],
    upstream: behind,
    stripPrefix: prefix,
    certificate: "required",
    scopes: ["accounts:read"],
    // A provider has one certificate, and as many tokens as it has customers.
    limits: [{ name: "provider", limit: 500, per: "1m", by: ({ certificate }) => certificate }],
    replies: { 200: accounts },
    transformRequest: ({ headers, principal, request }) => ({
      set: {
        [correlationField]: correlationId(headers[correlationField], request.id),
        "x-customer-id": principal?.tenant ?? "",
      },
      // The service believes the gateway, and has no use for the caller's token.
      remove: ["authorization"],
    }),
    // Which program it is written in.
    transformResponse: () => ({ remove: ["server"] }),
  });
}
