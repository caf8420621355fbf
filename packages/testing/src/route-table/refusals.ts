import { expect } from "vitest";
import type { Route } from "apiforge";
import { eventually, findUnfinishedJobs } from "../crash/index.ts";
import type { HttpResponse } from "../http-client.ts";
import { caller, expiredToken, validToken, type Caller } from "./callers.ts";
import { expectEnvelope, requestFor, routeName, type RouteRun } from "./route-run.ts";
import { countRows } from "./row-counts.ts";

/** How a caller without the right to a route comes, and what it must be told. */
export interface Refusal {
  readonly comes: "without a token" | "with a broken token" | "with an expired token" | Caller;
  readonly status: 401 | 403;
  readonly code: string;
  /** Pattern of `WWW-Authenticate`; undefined when there must be none. */
  readonly challenge: RegExp | undefined;
}

const tenant = "ten_table";
const invalid = /^Bearer realm="apiforge", error="invalid_token", error_description="[^"]+"$/;

const withoutIdentity: readonly Refusal[] = [
  {
    comes: "without a token",
    status: 401,
    code: "missing_token",
    challenge: /^Bearer realm="apiforge"$/,
  },
  { comes: "with a broken token", status: 401, code: "invalid_token", challenge: invalid },
  { comes: "with an expired token", status: 401, code: "token_expired", challenge: invalid },
];

const withoutKey: readonly Refusal[] = withoutIdentity.map((refusal) => ({
  ...refusal,
  code: refusal.code === "missing_token" ? "missing_api_key" : "invalid_api_key",
}));

// Callers here have no certificate, which is looked for before a token is.
const withoutCertificate: readonly Refusal[] = withoutIdentity.map(({ comes }) => ({
  comes,
  status: 401,
  code: "missing_certificate",
  challenge: /^Bearer realm="apiforge"$/,
}));

/** What a route's declaration refuses; empty for one that anybody may call. */
export function refusalsOf(
  route: Pick<Route, "auth" | "certificate" | "roles" | "scopes">,
): readonly Refusal[] {
  if (route.auth === "none") return [];
  if (route.auth === "certificate" || route.certificate === "required") return withoutCertificate;
  // Nobody has to bring a token, but one that is brought must be good.
  if (route.auth === "optional") return withoutIdentity.slice(1);
  if (route.auth === "key") return withoutKey;
  const enough = caller(route, tenant);
  const roles = (route.roles === undefined ? [] : ["", "nobody"]).map((role): Refusal => {
    const comes = { ...enough, role };
    return { comes, status: 403, code: "insufficient_role", challenge: undefined };
  });
  // One scope short, whichever it is.
  const scopes = route.scopes.map((missing): Refusal => {
    const comes = { ...enough, scopes: route.scopes.filter((scope) => scope !== missing) };
    const challenge = /^Bearer realm="apiforge", error="insufficient_scope", scope="[^"]+"$/;
    return { comes, status: 403, code: "insufficient_scope", challenge };
  });
  return [...withoutIdentity, ...roles, ...scopes];
}

/**
 * Calls `route` in every way that its declaration refuses; a route with `auth: "none"` as often with
 * the same tokens, which it must not look at. Nothing may be stored, but by what is open to all.
 */
export async function assertRefusals(run: RouteRun, route: Route): Promise<void> {
  const before = await storedRows(run);
  for (const refusal of refusalsOf(route)) {
    expectRefusal(await call(run, route, refusal.comes), refusal);
  }
  if (route.auth === "none") await assertBlindToTokens(run, route);
  if (run.openToAll?.includes(routeName(route)) === true) return idle(run);
  expect(await storedRows(run), "rows stored by refused requests").toEqual(before);
}

async function assertBlindToTokens(run: RouteRun, route: Route): Promise<void> {
  const answers: { status: number; code: unknown }[] = [];
  for (const { comes } of withoutIdentity) {
    const answer = await call(run, route, comes);
    expect(answer.status, answer.body).toBeLessThan(500);
    if (answer.status >= 400) expectEnvelope(answer);
    answers.push({ status: answer.status, code: codeOf(answer) });
  }
  expect(answers, "a token must not be asked for").toEqual(answers.map(() => answers[0]));
  const codes = withoutIdentity.map(({ code }) => code);
  expect(codes, "a token must not be asked for").not.toContain(answers[0]?.code);
}

function expectRefusal(answer: HttpResponse, refusal: Refusal): void {
  const { comes, status, code } = refusal;
  const how = typeof comes === "string" ? comes : `with ${JSON.stringify(comes)}`;
  const told = { status: answer.status, code: codeOf(answer) };
  expect(told, `${how} must be ${status} ${code}: ${answer.body}`).toEqual({ status, code });
  expectEnvelope(answer);
  const challenge = answer.headers["www-authenticate"];
  if (refusal.challenge === undefined) expect(challenge).toBeUndefined();
  else expect(challenge).toMatch(refusal.challenge);
}

function codeOf(answer: HttpResponse): unknown {
  if (answer.status < 400) return undefined;
  return (answer.json() as { error?: { code?: unknown } }).error?.code;
}

async function call(run: RouteRun, route: Route, comes: Refusal["comes"]): Promise<HttpResponse> {
  const query = run.queries?.[routeName(route)] ?? "";
  const path = route.path.replaceAll(/:\w+/g, "nothing_has_this_id") + query;
  const request = requestFor(run, route, path);
  const token = await tokenOf(run, route, comes);
  return run.client().request({ ...request, ...(token === undefined ? {} : { token }) });
}

async function tokenOf(
  run: RouteRun,
  route: Route,
  comes: Refusal["comes"],
): Promise<string | undefined> {
  const { dataDir } = run.deployment();
  if (comes === "without a token") return undefined;
  if (comes === "with an expired token") return expiredToken(dataDir, caller(route, tenant));
  if (comes !== "with a broken token") return validToken(dataDir, comes);
  const [head, claims, signature = ""] = (await validToken(dataDir, caller(route, tenant))).split(
    ".",
  );
  // Its first character: the last one of a signature has bits that decoding drops.
  return [head, claims, (signature.startsWith("A") ? "B" : "A") + signature.slice(1)].join(".");
}

/** Waits until no job is left: what one stores would look like the next route's doing. */
function idle({ deployment }: RouteRun): Promise<void> {
  return eventually("the end of the jobs", async () => {
    return (await deployment().inspect(findUnfinishedJobs)).length === 0;
  });
}

function storedRows(run: RouteRun): Promise<Readonly<Record<string, number>>> {
  const { store } = run.deployment();
  return run.deployment().inspect((raw) => countRows(raw, store));
}
