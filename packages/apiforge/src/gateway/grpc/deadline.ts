const units: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};
const pattern = /^(\d{1,8})([HMSmun])$/;

/** `grpc-timeout` in milliseconds (grpc/grpc, doc/PROTOCOL-HTTP2.md); undefined for a value that is none. */
export function timeoutMsOf(value: string): number | undefined {
  const [, digits, unit = ""] = pattern.exec(value) ?? [];
  return digits === undefined ? undefined : Number(digits) * (units[unit] ?? 0);
}

/** `connect-timeout-ms` in milliseconds (connectrpc.com/docs/protocol); undefined for a value that is none. */
export function connectTimeoutMsOf(value: string): number | undefined {
  return /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

/** `ms` as a `grpc-timeout`, rounded down. */
export function timeoutText(ms: number): string {
  return ms < 100_000_000 ? `${Math.max(0, Math.floor(ms))}m` : `${Math.floor(ms / 60_000)}M`;
}
