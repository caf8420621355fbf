import { z } from "zod";

import { defineRoute, type Route } from "../route.ts";
import type { Counted, LimitBook } from "./limit-book.ts";
import { LeasedCounter } from "./leased-counter.ts";
import { joined, routeText, type SubjectPart } from "./subject.ts";

const standing = z.object({
  policy: z.string(),
  limit: z.int(),
  per: z.string(),
  /** Where the limit is counted by route. */
  route: z.string().optional(),
  remaining: z.int(),
  /** When there is more; absent when nothing is spent. */
  resetAt: z.iso.datetime().optional(),
  /** The last request that this limit refused, as far as this process knows. */
  lastRefusal: z
    .object({ at: z.iso.datetime(), route: z.string(), requestId: z.string() })
    .optional(),
});
type Standing = z.infer<typeof standing>;

/** A caller whose limits are looked at: of the tenant of whoever asks. */
interface Caller {
  readonly tenant: string;
  readonly name: string;
}

interface Candidate {
  readonly subject: string;
  readonly route: string | undefined;
}

/**
 * `GET /v1/limits/:subject`: what is left to a caller of one's own tenant by each policy that counts
 * callers, and what was refused last. The subject is the `sub` of a token, the id of a credential or
 * the tenant. It spends nothing. Limits by address or by a function of the application belong to no tenant, and are not shown.
 */
export function limitsRoute(book: () => LimitBook, routes: readonly Route[]): Route {
  return defineRoute({
    method: "GET",
    path: "/v1/limits/:subject",
    roles: ["admin"],
    transaction: "none",
    summary: "What is left of the limits of a caller",
    replies: { 200: z.object({ subject: z.string(), limits: z.array(standing) }) },
    handler: async ({ params, principal }) => {
      const caller = { tenant: principal.tenant, name: params.subject };
      const limits: Standing[] = [];
      for (const counted of book().counted()) {
        for (const same of candidates(counted, caller, routes)) {
          limits.push(await tightest(book(), counted, same));
        }
      }
      return { status: 200, body: { subject: params.subject, limits } };
    },
  });
}

/** The subjects that `caller` can be to a policy, together where they are names for the same. */
function candidates(
  { policy }: Counted,
  caller: Caller,
  routes: readonly Route[],
): readonly (readonly Candidate[])[] {
  if (typeof policy.by === "function") return [];
  const parts = typeof policy.by === "string" ? [policy.by] : policy.by;
  const isTheirs = parts.some((part) => part === "credential" || part === "principal");
  const isOfTenant = parts.includes("tenant") && caller.name === caller.tenant;
  if (parts.includes("address") || isTheirs === isOfTenant) return [];
  if (!parts.includes("route")) return [subjects(parts, caller, undefined)];
  const limited = routes.filter(({ limits }) => limits.some(({ name }) => name === policy.name));
  return (limited.length > 0 ? limited : routes).map((route) =>
    subjects(parts, caller, routeText(route)),
  );
}

function subjects(
  parts: readonly SubjectPart[],
  caller: Caller,
  route: string | undefined,
): readonly Candidate[] {
  // The credential of a token without an id of its own is its subject.
  const prefixes = parts.includes("credential") ? ["", "sub:"] : [""];
  return prefixes.map((prefix) => {
    let subject = "";
    for (const part of parts) subject = joined(subject, textOf(part, caller, route, prefix));
    return { subject, route };
  });
}

function textOf(
  part: SubjectPart,
  { tenant, name }: Caller,
  route: string | undefined,
  prefix: string,
): string {
  if (part === "tenant") return tenant;
  if (part === "route") return route ?? "";
  return part === "credential" ? `${tenant}/${prefix}${name}` : `${tenant}/${name}`;
}

async function tightest(
  book: LimitBook,
  counted: Counted,
  same: readonly Candidate[],
): Promise<Standing> {
  const found = await Promise.all(same.map((candidate) => standingOf(book, counted, candidate)));
  const [first, ...others] = found.toSorted((one, other) => one.remaining - other.remaining);
  if (first === undefined) throw new TypeError("A policy counts nobody");
  const refused = [first, ...others].find(({ lastRefusal }) => lastRefusal !== undefined);
  return { ...first, lastRefusal: refused?.lastRefusal };
}

async function standingOf(
  book: LimitBook,
  { policy, counter }: Counted,
  { subject, route }: Candidate,
): Promise<Standing> {
  const { remaining, resetInMs } =
    counter instanceof LeasedCounter
      ? await counter.standing(subject)
      : counter.look(subject, book.elapsed());
  const refusal = book.refusals.find(policy.name, subject);
  return {
    policy: policy.name,
    limit: policy.limit,
    per: policy.per,
    ...(route === undefined ? {} : { route }),
    remaining,
    ...(resetInMs > 0 && { resetAt: new Date(book.clock.now() + resetInMs).toISOString() }),
    ...(refusal && { lastRefusal: { ...refusal, at: new Date(refusal.at).toISOString() } }),
  };
}
