import type { Durable } from "../../durable/index.ts";
import type { KeyVerdict, KeyVerifier, Principal } from "../../edge/index.ts";
import type { Clock } from "../../kernel/index.ts";
import type { KeyUsage } from "./key-usage.ts";
import { keyDigest, modeOfKey } from "./key-text.ts";
import { findByDigest, type KeyMatch } from "./keys-table.ts";

/**
 * Verifies keys by one look into the store each; what is no key costs none.
 * @param secret as in {@link KeyRingParts}.
 */
export function createKeyVerifier(
  secret: Uint8Array,
  durable: Pick<Durable, "read">,
  clock: Clock,
  usage: KeyUsage,
): KeyVerifier {
  return {
    used: (id) => usage.note(id),
    verify(text) {
      if (modeOfKey(text) === undefined) return "invalid";
      const digest = keyDigest(secret, text);
      return durable
        .read("verify API key", (reader) => findByDigest(reader, digest))
        .then((match) => verdict(match, clock.now()));
    },
  };
}

function verdict(match: KeyMatch | undefined, nowMs: number): KeyVerdict {
  // A revoked key is told from one that never was by nobody but its owner, in the list of keys.
  if (match === undefined || match.revokedAt !== null) return "invalid";
  const expiresAt = Math.min(
    match.expiresAt ?? Number.POSITIVE_INFINITY,
    match.isPrevious ? (match.previous?.expiresAt ?? 0) : Number.POSITIVE_INFINITY,
  );
  if (expiresAt <= nowMs) return "expired";
  const { origins, addresses } = match;
  const restrictions = {
    ...(origins === null ? {} : { origins }),
    ...(addresses === null ? {} : { addresses }),
  };
  return { principal: principalOf(match), expiresAt, restrictions };
}

function principalOf({ id, subject, tenant, role, scopes, plan, mode }: KeyMatch): Principal {
  const known = { subject, tenant, role, scopes, credentialId: id, keyMode: mode };
  return plan === null ? known : { ...known, plan };
}
