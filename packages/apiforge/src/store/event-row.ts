import type { LogEvent, Row } from "./contract.ts";

/** An event's row as it was read. */
export function toLogEvent(row: Row): LogEvent {
  return {
    seq: Number(row["seq"]),
    id: String(row["id"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    data: String(row["data"]),
    requestId: String(row["request_id"]),
    createdAt: Number(row["created_at"]),
  };
}
