import fc from "fast-check";
import { expect, test } from "vitest";

import { FrameBoundary } from "../../src/gateway/frame-boundary.ts";

function frame(opcode: number, bytes: number, isMasked: boolean): Buffer {
  const mask = Buffer.alloc(isMasked ? 4 : 0, 0xff);
  const [length, extended] = lengthOf(bytes);
  const head = Buffer.from([0x80 | opcode, length | (isMasked ? 0x80 : 0)]);
  return Buffer.concat([head, extended, mask, Buffer.alloc(bytes, 0x88)]);
}

function lengthOf(bytes: number): [number, Buffer] {
  if (bytes < 126) return [bytes, Buffer.alloc(0)];
  const extended = Buffer.alloc(bytes < 65_536 ? 2 : 8);
  if (extended.length === 2) extended.writeUInt16BE(bytes);
  else extended.writeBigUInt64BE(BigInt(bytes));
  return [extended.length === 2 ? 126 : 127, extended];
}

const bytes = fc.oneof(fc.nat({ max: 130 }), fc.constantFrom(65_535, 65_536));

test("a frame may follow at the end of each, and nowhere within, however they are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 9), bytes, fc.boolean()), { maxLength: 4 }),
      fc.integer({ min: 1, max: 200 }),
      (frames, pieceBytes) => {
        const boundary = new FrameBoundary();
        expect(boundary.isOpen).toBe(true);
        for (const [opcode, length, isMasked] of frames) {
          const whole = frame(opcode, length, isMasked);
          for (let at = 0; at < whole.length; at += pieceBytes) {
            boundary.pass(whole.subarray(at, at + pieceBytes));
            expect(boundary.isOpen).toBe(at + pieceBytes >= whole.length);
          }
        }
      },
    ),
  );
});

test("nothing follows a close frame", () => {
  const boundary = new FrameBoundary();
  boundary.pass(frame(1, 3, true));
  boundary.pass(frame(8, 2, true));
  expect(boundary.isOpen).toBe(false);
});
