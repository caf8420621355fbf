import { fieldsOf } from "./protobuf.ts";

/** A message beside an error, unread. */
export interface StatusDetail {
  /** Full name of the message: `google.rpc.RetryInfo`. */
  readonly type: string;
  /** Its bytes as base64 without padding. */
  readonly value: string;
}

// google/rpc/status.proto: `Status { repeated google.protobuf.Any details = 3; }`.
const details = 3;
// google/protobuf/any.proto: `Any { string type_url = 1; bytes value = 2; }`.
const typeUrl = 1;
const value = 2;

/** What `grpc-status-details-bin` has beside code and message; empty for one that cannot be read. */
export function statusDetails(base64: string): StatusDetail[] {
  const status = fieldsOf(Buffer.from(base64, "base64"), details) ?? [];
  const found: StatusDetail[] = [];
  for (const any of status) {
    const type = fieldsOf(any, typeUrl)?.at(-1)?.toString();
    if (type === undefined) continue;
    const bytes = fieldsOf(any, value)?.at(-1)?.toString("base64") ?? "";
    found.push({ type: type.slice(type.lastIndexOf("/") + 1), value: bytes.replace(/=+$/, "") });
  }
  return found;
}
