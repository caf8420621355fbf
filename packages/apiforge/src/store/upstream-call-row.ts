import type { Row } from "./contract.ts";
import {
  upstreamCallState as state,
  type UpstreamCallClaim,
  type UpstreamCallFilter,
  type UpstreamCallRecord,
  type UpstreamCallStanding,
} from "./upstream-call-contract.ts";

/** SQL for how a row stands; `now` is SQL for the time. */
export function standingText(now: string): string {
  return `case when state = ${state.answered} then 'answered'
     when state = ${state.unknown} and freed = fence then 'free'
     when state = ${state.unknown} or until_at <= ${now} then 'unknown' else 'in_flight' end`;
}

/** SQL that lists calls; `now` is SQL for the time. */
export function listText(now: string, { standing, limit }: UpstreamCallFilter): string {
  const condition = standing === "any" ? "" : "where standing = 'unknown'";
  return `select * from (
     select digest, idempotency_key, fence, created_at, ${standingText(now)} as standing
     from forge_upstream_calls) as call ${condition} order by created_at, digest limit ${limit}`;
}

/** A row of {@link listText}. */
export function toUpstreamCallRecord(row: Row): UpstreamCallRecord {
  return {
    digest: row["digest"] as Uint8Array,
    key: String(row["idempotency_key"]),
    standing: toStanding(row),
    times: Number(row["fence"]),
    createdAt: Number(row["created_at"]),
  };
}

/** The column of {@link standingText}. */
export function toStanding(row: Row): UpstreamCallStanding {
  return row["standing"] as UpstreamCallStanding;
}

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
