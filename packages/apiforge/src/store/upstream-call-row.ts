import type { Row } from "./contract.ts";
import { upstreamCallState as state, type UpstreamCallClaim } from "./upstream-call-contract.ts";

/** What a row that could not be claimed says. */
export function knownClaim(row: Row, nowAt: number): UpstreamCallClaim {
  const fingerprint = row["fingerprint"] as Uint8Array;
  switch (Number(row["state"])) {
    case state.answered:
      return {
        outcome: "answered",
        fingerprint,
        answer: {
          status: Number(row["status"]),
          fields: JSON.parse(String(row["fields"])) as readonly string[],
          body: row["body"] as Uint8Array,
        },
      };
    case state.unknown:
      return { outcome: "unknown", fingerprint };
    default: {
      const isLapsed = Number(row["until_at"]) <= nowAt;
      return { outcome: isLapsed ? "unknown" : "in_flight", fingerprint };
    }
  }
}
