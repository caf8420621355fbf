import { z } from "zod";

import type { ApiKeyInfo } from "../../features/identity/index.ts";
import { keyModes } from "../../features/identity/index.ts";

const maxScopes = 100;
const maxRestrictions = 100;
const maxOverlapSeconds = 30 * 86_400;
const defaultOverlapSeconds = 86_400;
/** RFC 6749 section 3.3. */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/);
/** As browsers write it (RFC 6454 section 6.2): no path, no default port, lower case. */
const origin = z
  .string()
  .max(300)
  .refine((text) => URL.canParse(text) && new URL(text).origin === text, "Not an origin");
const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);
const word = z.string().regex(/^[\w.:-]{1,64}$/);

/** Body of a new key. */
export const newKey = z.object({
  name: z.string().trim().min(1).max(100).default("API key"),
  /** Default what the deployment takes, `test` where it takes both. */
  mode: z.enum(keyModes).optional(),
  role: word.optional(),
  scopes: z.array(scope).max(maxScopes).default([]),
  plan: word.optional(),
  origins: z.array(origin).min(1).max(maxRestrictions).optional(),
  addresses: z.array(network).min(1).max(maxRestrictions).optional(),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
});

/** Body of a rotation; none takes the default. */
export const rotation = z
  .object({
    overlapSeconds: z.int().min(0).max(maxOverlapSeconds).default(defaultOverlapSeconds),
  })
  .default({ overlapSeconds: defaultOverlapSeconds });

/** A key as it is shown. */
export const keyView = z.object({
  id: z.string(),
  name: z.string(),
  mode: z.enum(keyModes),
  prefix: z.string(),
  lastFour: z.string(),
  role: z.string().nullable(),
  scopes: z.array(z.string()),
  plan: z.string().nullable(),
  origins: z.array(z.string()).nullable(),
  addresses: z.array(z.string()).nullable(),
  previous: z.object({ lastFour: z.string(), expiresAt: z.string() }).nullable(),
  createdBy: z.string(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
});

/** A key with its text, which only this answer carries. */
export const issuedKeyView = keyView.extend({ key: z.string() });

export function toView(info: ApiKeyInfo): z.input<typeof keyView> {
  const { previous } = info;
  return {
    id: info.id,
    name: info.name,
    mode: info.mode,
    prefix: info.prefix,
    lastFour: info.lastFour,
    role: info.role === "" ? null : info.role,
    scopes: [...info.scopes],
    plan: info.plan,
    origins: info.origins && [...info.origins],
    addresses: info.addresses && [...info.addresses],
    previous: previous && { lastFour: previous.lastFour, expiresAt: iso(previous.expiresAt) },
    createdBy: info.createdBy,
    createdAt: iso(info.createdAt),
    expiresAt: isoOrNull(info.expiresAt),
    revokedAt: isoOrNull(info.revokedAt),
    lastUsedAt: isoOrNull(info.lastUsedAt),
  };
}

function iso(instant: number): string {
  return new Date(instant).toISOString();
}

function isoOrNull(instant: number | null): string | null {
  return instant === null ? null : iso(instant);
}
