import type { ApiForgeError } from "../kernel/index.ts";
import { edgeError } from "./errors.ts";

const retryAfterSeconds = 1;

/** 409 for a request whose key is that of one that is still running. */
export function keyInProgress(): ApiForgeError {
  return edgeError(
    "idempotency_in_progress",
    "A request with this idempotency key is still running; try again shortly",
    { retryAfterSeconds },
  );
}

/** 422 for a request whose key was used for another. */
export function keyReused(): ApiForgeError {
  return edgeError(
    "idempotency_key_reused",
    "This idempotency key was used for a different request; choose a new one",
  );
}
