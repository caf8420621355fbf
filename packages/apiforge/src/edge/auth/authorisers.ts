import type { Clock } from "../../kernel/index.ts";
import { Authoriser } from "./authoriser.ts";
import { verifiedKey, type KeyVerifier, type KnownKey } from "./key-verifier.ts";
import type { KeyMode, Principal } from "./principal.ts";
import type { Revocations } from "./revocations.ts";
import type { TokenVerifier, VerifiedToken } from "./token-verifier.ts";

/** How callers are remembered. */
export interface AuthoriserOptions {
  /** How long an answer is remembered; default 300 s, at most 3600 s, 0 not at all. */
  readonly maxAgeMs?: number;
  /** How many tokens are, and how many keys; default 10,000 of each. */
  readonly maxEntries?: number;
  /** What a verified caller is besides; it is remembered with it, and not asked again for it. */
  readonly enrich?: (principal: Principal) => Promise<Principal>;
  /** Which API keys are good for routes without a `keyMode`; default both. */
  readonly keyMode?: KeyMode | undefined;
  /** By which what is remembered ends early; default never. */
  readonly revocations?: Revocations;
}

/** What tells callers by what they bring. */
export interface Authorisers {
  readonly tokens: Authoriser<VerifiedToken>;
  /** Undefined where there are no API keys. */
  readonly keys: KeyAuthoriser | undefined;
}

/** {@link Authorisers.keys} with what their use is told to, and where they are good. */
export interface KeyAuthoriser {
  readonly authoriser: Authoriser<KnownKey>;
  readonly used: KeyVerifier["used"];
  /** Keys of the other mode are refused; undefined takes both. */
  readonly mode: KeyMode | undefined;
}

const longestAgeMs = 3_600_000;

/** @throws {RangeError} for an age that is out of range. */
export function createAuthorisers(
  verifier: TokenVerifier,
  keys: KeyVerifier | undefined,
  clock: Clock,
  options: AuthoriserOptions,
): Authorisers {
  const { maxAgeMs = 300_000, maxEntries = 10_000, enrich, revocations } = options;
  if (!(maxAgeMs >= 0 && maxAgeMs <= longestAgeMs)) {
    throw new RangeError("The authoriser cache remembers for 0 to 3600 s");
  }
  const parts = { clock, enrich, maxAgeMs, maxEntries };
  return {
    tokens: new Authoriser({
      ...parts,
      verify: (token) => verifier.verify(token),
      // A token proves itself: only what was added to it can be taken back.
      revocations: enrich === undefined ? undefined : revocations,
    }),
    keys: keys && {
      authoriser: new Authoriser({
        ...parts,
        verify: (key) => verifiedKey(keys, key),
        revocations,
      }),
      used: (credentialId) => keys.used(credentialId),
      mode: options.keyMode,
    },
  };
}
