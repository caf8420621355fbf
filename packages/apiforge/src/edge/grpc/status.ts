/** Codes of gRPC that this server answers with (github.com/grpc/grpc, doc/statuscodes.md). */
export const grpcStatus = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const byStatus: Readonly<Record<number, number>> = {
  401: grpcStatus.unauthenticated,
  403: grpcStatus.permissionDenied,
  404: grpcStatus.unimplemented,
  405: grpcStatus.unimplemented,
  408: grpcStatus.deadlineExceeded,
  409: grpcStatus.aborted,
  412: grpcStatus.failedPrecondition,
  413: grpcStatus.resourceExhausted,
  415: grpcStatus.unimplemented,
  429: grpcStatus.resourceExhausted,
  431: grpcStatus.resourceExhausted,
  499: grpcStatus.cancelled,
  501: grpcStatus.unimplemented,
  502: grpcStatus.unavailable,
  503: grpcStatus.unavailable,
  504: grpcStatus.deadlineExceeded,
};

/**
 * What a refusal of HTTP is to a caller of gRPC. Clients may repeat what is `unavailable`, so an error
 * that is not to be repeated is not told as that.
 */
export function grpcStatusOf(status: number, isRetryable: boolean): number {
  const code = byStatus[status];
  if (code === grpcStatus.unavailable && !isRetryable) return grpcStatus.unknown;
  return code ?? (status < 500 ? grpcStatus.invalidArgument : grpcStatus.internal);
}

/** `grpc-message`: percent-encoded UTF-8 (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
export function grpcMessage(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");
}

/** The text of a `grpc-message`. */
export function messageOf(told: string): string {
  const bytes = told.replaceAll(/%[0-9a-f]{2}/gi, (escaped) =>
    String.fromCharCode(Number.parseInt(escaped.slice(1), 16)),
  );
  return Buffer.from(bytes, "latin1").toString();
}
