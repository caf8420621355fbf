import { hash } from "node:crypto";

import type { Transaction } from "../durable/index.ts";
import type { KeyMode } from "../edge/index.ts";
import type { Clock } from "../kernel/index.ts";

/** What a system may need of the deployment that it is part of. */
export interface Deployment {
  readonly clock: Clock;
  /** Which API keys are good here; undefined for both. */
  readonly keyMode: KeyMode | undefined;
  /** 32 bytes of the deployment's secret for one purpose, the same on every node. */
  readonly secretFor: (purpose: string) => Buffer;
  /**
   * Ends, with the commit of `tx`, what all nodes remember of the callers of `tenant`: their keys, and
   * what {@link AuthoriserSettings.enrich} said of them. Other nodes go on for 250 ms at most. Call it
   * last in a transaction: until the commit it holds a lock that all such calls share.
   */
  readonly forgetCallers: (tx: Transaction, tenant: string) => Promise<void>;
}

/** The deployment of a secret. */
export function createDeployment(secret: string, parts: Omit<Deployment, "secretFor">): Deployment {
  return {
    ...parts,
    // Hashed with its purpose, so that what one of them signs is worth nothing for another.
    secretFor: (purpose) => hash("sha256", `${purpose}:${secret}`, "buffer"),
  };
}
