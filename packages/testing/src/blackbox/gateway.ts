import { z } from "zod";

import type { Check } from "./check.ts";
import { corsChecks, corsTarget } from "./cors.ts";
import { deprecationChecks, deprecationTarget } from "./deprecation.ts";
import { idempotencyChecks, idempotencyTarget } from "./idempotency.ts";
import { keyChecks, keyTarget } from "./keys.ts";
import { limitChecks, limitTarget } from "./limits.ts";

/** A gateway as the suites see it: its address, and what to ask where. Data only, so that it can be a file. */
export const gateway = z.strictObject({
  url: z.url(),
  idempotency: idempotencyTarget.optional(),
  limits: limitTarget.optional(),
  cors: corsTarget.optional(),
  deprecation: deprecationTarget.optional(),
  keys: keyTarget.optional(),
});
export type GatewayInput = z.input<typeof gateway>;

/**
 * The checks of every suite that `input` has a part for.
 * @throws {ZodError} for what is no description of a gateway.
 */
export function gatewayChecks(input: GatewayInput): readonly Check[] {
  const { url, idempotency, limits, cors, deprecation, keys } = gateway.parse(input);
  return [
    ...(idempotency === undefined ? [] : named("idempotency", idempotencyChecks(url, idempotency))),
    ...(limits === undefined ? [] : named("limits", limitChecks(url, limits))),
    ...(cors === undefined ? [] : named("cors", corsChecks(url, cors))),
    ...(deprecation === undefined ? [] : named("deprecation", deprecationChecks(url, deprecation))),
    ...(keys === undefined ? [] : named("keys", keyChecks(url, keys))),
  ];
}

function named(suite: string, checks: readonly Check[]): readonly Check[] {
  return checks.map(({ name, run }) => ({ name: `${suite}: ${name}`, run }));
}
