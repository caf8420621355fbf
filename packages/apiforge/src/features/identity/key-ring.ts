import type { Transaction } from "../../durable/index.ts";
import { newId, type Clock } from "../../kernel/index.ts";
import type { ApiKeyInfo, IssuedKey, NewApiKey } from "./key-record.ts";
import { keyDigest, newKeyText, shownParts } from "./key-text.ts";
import { findKey, insertKey, markRevoked, replaceSecret, type StoredSecret } from "./keys-table.ts";

/** What a ring works with. */
export interface KeyRingParts {
  /** At least 32 bytes, the same on every node: digests of keys are made with it. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  /** Ends, with the commit, what nodes remember of the callers of a tenant. */
  readonly revoke: (tx: Transaction, tenant: string) => Promise<void>;
}

/** The API keys of a deployment: makes, rotates and revokes them, in the transactions of others. */
export class KeyRing {
  readonly #parts: KeyRingParts;

  constructor(parts: KeyRingParts) {
    this.#parts = parts;
  }

  /** Adds a key with this commit. Its text is told here and never again. */
  async issue(tx: Transaction, wanted: NewApiKey): Promise<IssuedKey> {
    const text = newKeyText(wanted.mode);
    const secret = this.#stored(text);
    const id = newId("key");
    const { prefix, lastFour } = secret;
    const info: ApiKeyInfo = {
      id,
      tenant: wanted.tenant,
      subject: wanted.subject ?? id,
      name: wanted.name,
      mode: wanted.mode,
      prefix,
      lastFour,
      role: wanted.role ?? "",
      scopes: wanted.scopes ?? [],
      plan: wanted.plan ?? null,
      origins: wanted.origins ?? null,
      addresses: wanted.addresses ?? null,
      previous: null,
      createdBy: wanted.createdBy,
      createdAt: this.#parts.clock.now(),
      expiresAt: wanted.expiresAt ?? null,
      revokedAt: null,
      lastUsedAt: null,
    };
    await insertKey(tx, info, secret);
    tx.audit({ action: "api_key.issued", detail: auditDetail(info) });
    return { ...info, key: text };
  }

  /**
   * Gives a key a new secret with this commit. The present one stays good for `overlapMs` beside it,
   * 0 ends it at once; one that was still good from an earlier rotation ends.
   * Undefined where the tenant has no such key, or has revoked it.
   */
  async rotate(
    tx: Transaction,
    tenant: string,
    id: string,
    overlapMs: number,
  ): Promise<IssuedKey | undefined> {
    const before = await findKey(tx, tenant, id);
    if (before === undefined || before.revokedAt !== null) return undefined;
    const text = newKeyText(before.mode);
    const secret = this.#stored(text);
    const { prefix, lastFour } = secret;
    const expiresAt = this.#parts.clock.now() + overlapMs;
    await replaceSecret(tx, id, secret, expiresAt);
    tx.audit({ action: "api_key.rotated", detail: { id, lastFour, overlapMs } });
    await this.#parts.revoke(tx, tenant);
    const previous = { lastFour: before.lastFour, expiresAt };
    return { ...before, prefix, lastFour, previous, key: text };
  }

  /** Ends a key with this commit, for good. Undefined where the tenant has no such key. */
  async revoke(tx: Transaction, tenant: string, id: string): Promise<ApiKeyInfo | undefined> {
    const before = await findKey(tx, tenant, id);
    if (before === undefined || before.revokedAt !== null) return before;
    const revokedAt = this.#parts.clock.now();
    await markRevoked(tx, id, revokedAt);
    tx.audit({ action: "api_key.revoked", detail: { id } });
    await this.#parts.revoke(tx, tenant);
    return { ...before, revokedAt };
  }

  #stored(text: string): StoredSecret {
    return { digest: keyDigest(this.#parts.secret, text), ...shownParts(text) };
  }
}

function auditDetail(key: ApiKeyInfo) {
  const { id, name, mode, lastFour, role, scopes, plan, origins, addresses } = key;
  return { id, name, mode, lastFour, role, scopes, plan, origins, addresses };
}
