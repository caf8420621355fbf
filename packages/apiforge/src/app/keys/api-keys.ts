import type { Transaction } from "../../durable/index.ts";
import type { Route } from "../../edge/index.ts";
import {
  KeyRing,
  type ApiKeyInfo,
  type IssuedKey,
  type NewApiKey,
} from "../../features/identity/index.ts";
import { durationMs, type Duration } from "../../kernel/index.ts";
import type { Deployment } from "../deployment.ts";
import type { System } from "../system.ts";
import { keyRoutes, type KeyServices } from "./routes.ts";

/** The API keys of a deployment, for the code of other systems, and as a system of its own. */
export interface ApiKeys extends System {
  /** `/v1/keys`: create, list, read, rotate and revoke; for role `admin` and scope `keys:manage`. */
  readonly routes: readonly Route[];
  /** Adds a key with this commit. Its text is told here, and never again. */
  issue(tx: Transaction, key: NewApiKey): Promise<IssuedKey>;
  /**
   * Gives a key a new secret with this commit; the present one stays good for `overlap` (default
   * 24 h) beside it. Undefined where the tenant has no such key, or has revoked it.
   */
  rotate(
    tx: Transaction,
    tenant: string,
    id: string,
    overlap?: Duration,
  ): Promise<IssuedKey | undefined>;
  /** Ends a key with this commit, for good. Undefined where the tenant has no such key. */
  revoke(tx: Transaction, tenant: string, id: string): Promise<ApiKeyInfo | undefined>;
}

/**
 * Self-service for the API keys of a tenant. Routes with auth `key` or `any` take keys with or without this system.
 * @example const keys = apiKeys(); await createForge([keys, products]);
 * @throws {TypeError} when it is used before `createForge` was given it, or by two deployments.
 */
export function apiKeys(): ApiKeys {
  let bound: KeyServices | undefined;
  let secret: Buffer | undefined;
  function services(): KeyServices {
    if (bound === undefined) throw new TypeError("Give apiKeys() to createForge before it is used");
    return bound;
  }
  return {
    routes: keyRoutes(services),
    open({ clock, keyMode, secretFor, forgetCallers: revoke }: Deployment) {
      const given = secretFor(keySecretPurpose);
      if (secret !== undefined && !given.equals(secret)) {
        throw new TypeError("One apiKeys() serves one deployment; make another one");
      }
      secret = given;
      bound = { ring: new KeyRing({ secret, clock, revoke }), clock, keyMode };
    },
    issue: (tx, key) => services().ring.issue(tx, key),
    rotate: (tx, tenant, id, overlap = "24h") =>
      services().ring.rotate(tx, tenant, id, durationMs(overlap)),
    revoke: (tx, tenant, id) => services().ring.revoke(tx, tenant, id),
  };
}

/** What digests of keys are made with. */
export const keySecretPurpose = "api-keys";
