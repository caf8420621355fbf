import { framed, prefixBytes, readVarint } from "../../edge/index.ts";

/** `HealthCheckResponse.ServingStatus.SERVING` (grpc.health.v1). */
const serving = 1;
const varint = 0;

/** A message of gRPC that asks about `service`: `HealthCheckRequest { string service = 1; }`. */
export function healthQuestion(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? [] : [0x0a, ...varintOf(name.length), ...name];
  return framed(0, Buffer.from(field));
}

/** True for a message of gRPC that says `HealthCheckResponse { ServingStatus status = 1; }` with SERVING. */
export function saysServing(bytes: Buffer): boolean {
  if (bytes.length < prefixBytes || bytes[0] !== 0) return false;
  if (bytes.readUInt32BE(1) !== bytes.length - prefixBytes) return false;
  let status = 0;
  for (let at = prefixBytes; at < bytes.length;) {
    const key = readVarint(bytes, at);
    // Other fields than numbers are of no version that we know.
    if (key === undefined || (key.value & 7) !== varint) return false;
    const value = readVarint(bytes, key.end);
    if (value === undefined) return false;
    if (key.value >>> 3 === 1) status = value.value;
    at = value.end;
  }
  return status === serving;
}

function varintOf(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varintOf(value >>> 7)];
}
