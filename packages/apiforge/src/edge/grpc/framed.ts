/** In front of each message: a byte of flags, four for its length (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
export const prefixBytes = 5;

/** A message, or what stands in its place, behind its prefix. */
export function framed(flags: number, message: Buffer): Buffer {
  const frame = Buffer.alloc(prefixBytes + message.length);
  frame.writeUInt8(flags, 0);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, prefixBytes);
  return frame;
}
