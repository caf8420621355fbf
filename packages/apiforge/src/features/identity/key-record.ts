import type { KeyMode } from "../../edge/index.ts";

/** An API key as it may be shown: never its text. */
export interface ApiKeyInfo {
  /** `key_…`; stays the same when the key is rotated. */
  readonly id: string;
  readonly tenant: string;
  /** Whom its requests speak for. */
  readonly subject: string;
  readonly name: string;
  readonly mode: KeyMode;
  /** How the key begins: `af_live_` and four digits more. */
  readonly prefix: string;
  readonly lastFour: string;
  /** Empty for a key without a role. */
  readonly role: string;
  readonly scopes: readonly string[];
  readonly plan: string | null;
  /** Pages that may use it; null: it is not for browsers in particular. */
  readonly origins: readonly string[] | null;
  /** Addresses and networks that may; null: all. */
  readonly addresses: readonly string[] | null;
  /** The secret that was rotated away and is still good; null for none. */
  readonly previous: { readonly lastFour: string; readonly expiresAt: number } | null;
  /** Subject of who made it. */
  readonly createdBy: string;
  readonly createdAt: number;
  /** Null: for ever. */
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  /** To the minute; null: never. */
  readonly lastUsedAt: number | null;
}

/** A key with its text, which is told this once and not stored. */
export interface IssuedKey extends ApiKeyInfo {
  readonly key: string;
}

/** What a new key is to be. */
export interface NewApiKey {
  readonly tenant: string;
  /** Subject of who makes it. */
  readonly createdBy: string;
  /** For people. 1-100 characters. */
  readonly name: string;
  readonly mode: KeyMode;
  /** Whom its requests speak for; default the key itself: its id. */
  readonly subject?: string;
  /** Default none. */
  readonly role?: string;
  /** Default none. */
  readonly scopes?: readonly string[];
  /** Default none. */
  readonly plan?: string | undefined;
  /** Only with an `Origin` of these, such as `https://shop.example.com`. Default with any, and without. */
  readonly origins?: readonly string[] | undefined;
  /** Only from these IP addresses and networks (CIDR). Default from all. */
  readonly addresses?: readonly string[] | undefined;
  /** Default never. */
  readonly expiresAt?: number | undefined;
}
