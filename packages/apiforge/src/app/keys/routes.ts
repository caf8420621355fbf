import type { Clock } from "../../kernel/index.ts";
import type { Reader } from "../../durable/index.ts";
import {
  badRequest,
  conflict,
  defineRoute,
  listQuery,
  notFound,
  pageOf,
  type KeyMode,
  type Principal,
  type Route,
} from "../../edge/index.ts";
import { findKey, listKeys, type ApiKeyInfo, type KeyRing } from "../../features/identity/index.ts";
import { adminRole, manageScope, reachWithin, requireRights } from "./key-rights.ts";
import { issuedKeyView, keyView, newKey, rotation, toView } from "./key-schema.ts";

/** What the routes work with, once the deployment is known. */
export interface KeyServices {
  readonly ring: KeyRing;
  readonly clock: Clock;
  readonly keyMode: KeyMode | undefined;
}

const access = {
  auth: "any",
  roles: [adminRole],
  orScopes: [manageScope],
  tags: ["keys"],
} as const;

/**
 * The routes of `/v1/keys`. Those that tell a key take no idempotency key: the recorded answer would
 * keep the key's text in the store.
 */
export function keyRoutes(services: () => KeyServices): readonly Route[] {
  return [
    createRoute(services),
    listRoute,
    readRoute,
    rotateRoute(services),
    revokeRoute(services),
  ];
}

function createRoute(services: () => KeyServices) {
  return defineRoute({
    ...access,
    method: "POST",
    path: "/v1/keys",
    summary: "Create an API key, whose text only this answer tells",
    body: newKey,
    idempotency: "none",
    replies: { 201: issuedKeyView },
    handler: async ({ body, principal, tx }) => {
      const { ring, clock, keyMode } = services();
      const { name, scopes, plan, origins, addresses } = body;
      const { role = "", mode = keyMode ?? "test" } = body;
      requireRights(principal, { role, scopes, plan: plan ?? null, mode });
      const { tenant, credentialId } = principal;
      const maker =
        credentialId === undefined ? undefined : await findKey(tx, tenant, credentialId);
      const issued = await ring.issue(tx, {
        ...{ name, mode, role, scopes, plan, tenant },
        ...reachWithin({ origins, addresses }, maker),
        createdBy: principal.subject,
        expiresAt: futureInstant(body.expiresAt, clock.now()),
      });
      return { status: 201, body: { ...toView(issued), key: issued.key } };
    },
  });
}

const listRoute = defineRoute({
  ...access,
  method: "GET",
  path: "/v1/keys",
  summary: "List API keys, newest first",
  query: listQuery({}),
  replies: { 200: pageOf(keyView) },
  handler: async ({ query, principal, tx, list }) => {
    const before = list.position<{ id: string }>()?.id;
    const rows = await listKeys(tx, principal.tenant, { before, limit: query.limit + 1 });
    const page = list.page(rows, query.limit, ({ id }) => ({ id }));
    return { status: 200, body: { ...page, data: page.data.map(toView) } };
  },
});

const readRoute = defineRoute({
  ...access,
  method: "GET",
  path: "/v1/keys/:id",
  summary: "Read an API key",
  replies: { 200: keyView },
  handler: async ({ params, principal, tx }) => {
    return { status: 200, body: toView(await requireKey(tx, principal, params.id)) };
  },
});

function rotateRoute(services: () => KeyServices) {
  return defineRoute({
    ...access,
    method: "POST",
    path: "/v1/keys/:id/rotate",
    summary: "Give an API key a new secret beside the present one, which ends after the overlap",
    body: rotation,
    idempotency: "none",
    replies: { 200: issuedKeyView },
    handler: async ({ params, body, principal, tx }) => {
      const key = await requireKey(tx, principal, params.id);
      requireRights(principal, key);
      const overlapMs = body.overlapSeconds * 1_000;
      const issued = await services().ring.rotate(tx, principal.tenant, key.id, overlapMs);
      if (issued === undefined) throw conflict("api_key_revoked", "The key is revoked, for good");
      return { status: 200, body: { ...toView(issued), key: issued.key } };
    },
  });
}

function revokeRoute(services: () => KeyServices) {
  return defineRoute({
    ...access,
    method: "DELETE",
    path: "/v1/keys/:id",
    summary: "Revoke an API key, for good",
    replies: { 204: null },
    handler: async ({ params, principal, tx }) => {
      const key = await requireKey(tx, principal, params.id);
      requireRights(principal, key);
      await services().ring.revoke(tx, principal.tenant, key.id);
      return { status: 204 };
    },
  });
}

async function requireKey(tx: Reader, { tenant }: Principal, id: string): Promise<ApiKeyInfo> {
  const key = await findKey(tx, tenant, id);
  if (key === undefined) throw notFound("No API key has this id.");
  return key;
}

function futureInstant(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const instant = Date.parse(text);
  if (instant > nowMs) return instant;
  throw badRequest("validation_failed", "expiresAt has passed already", "body.expiresAt");
}
