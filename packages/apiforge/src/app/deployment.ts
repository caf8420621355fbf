import { hash } from "node:crypto";

import type { Clock } from "../kernel/index.ts";

/** What a system may need of the deployment that it is part of. */
export interface Deployment {
  readonly clock: Clock;
  /** 32 bytes of the deployment's secret for one purpose, the same on every node. */
  readonly secretFor: (purpose: string) => Buffer;
}

/** The deployment of a secret. */
export function createDeployment(secret: string, clock: Clock): Deployment {
  return {
    clock,
    // Hashed with its purpose, so that what one of them signs is worth nothing for another.
    secretFor: (purpose) => hash("sha256", `${purpose}:${secret}`, "buffer"),
  };
}
