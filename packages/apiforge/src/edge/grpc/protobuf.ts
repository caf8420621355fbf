const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const fixedBytes: Readonly<Record<number, number>> = {
  [wireTypes.fixed64]: 8,
  [wireTypes.fixed32]: 4,
};
const maxVarintBytes = 10;

/** A number of up to 32 bits; undefined where there is none. */
export function readVarint(
  bytes: Buffer,
  start: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let at = start, shift = 0; at < bytes.length && shift < 32; at += 1, shift += 7) {
    const byte = bytes[at] ?? 0;
    value |= (byte & 127) << shift;
    if (byte < 128) return { value: value >>> 0, end: at + 1 };
  }
  return undefined;
}

/**
 * The fields of a message that have the number `wanted`, and bytes of their own (protobuf.dev/programming-guides/encoding).
 * Undefined for what is no message.
 */
export function fieldsOf(message: Buffer, wanted: number): Buffer[] | undefined {
  const found: Buffer[] = [];
  for (let at = 0; at < message.length;) {
    const key = readVarint(message, at);
    if (key === undefined) return undefined;
    const end = endOf(message, key.end, key.value & 7);
    if (end === undefined || end > message.length) return undefined;
    if ((key.value & 7) === wireTypes.bytes && key.value >>> 3 === wanted) {
      found.push(message.subarray(readVarint(message, key.end)?.end, end));
    }
    at = end;
  }
  return found;
}

function endOf(message: Buffer, start: number, wireType: number): number | undefined {
  if (wireType === wireTypes.varint) return endOfVarint(message, start);
  const fixed = fixedBytes[wireType];
  if (fixed !== undefined) return start + fixed;
  if (wireType !== wireTypes.bytes) return undefined;
  const length = readVarint(message, start);
  return length === undefined ? undefined : length.end + length.value;
}

/** Numbers that are not asked for may be longer than those that are read. */
function endOfVarint(message: Buffer, start: number): number | undefined {
  for (let at = start; at < message.length && at < start + maxVarintBytes; at += 1) {
    if ((message[at] ?? 0) < 128) return at + 1;
  }
  return undefined;
}
