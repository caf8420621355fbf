import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, test } from "vitest";

import { statusDetails } from "../../../src/edge/grpc/status-details.ts";
import { grpcMessage, grpcStatusOf, messageOf } from "../../../src/edge/grpc/status.ts";
import { timeoutMsOf, timeoutText } from "../../../src/gateway/grpc/deadline.ts";
import { MessageSizes } from "../../../src/gateway/grpc/messages.ts";
import { WebText } from "../../../src/gateway/grpc/web-text.ts";
import { acceptsCoding } from "../../../src/gateway/headers/accepts-coding.ts";

/** `bytes` in pieces, cut where `cuts` say. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length];
  const sorted = at.toSorted((a, b) => a - b);
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

const cuts = fc.array(fc.nat(), { maxLength: 8 });

test("a message is too large or not, however its bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 6 }), cuts, (lengths, where) => {
      const bytes = Buffer.concat(
        lengths.map((length) => {
          const message = Buffer.alloc(5 + length);
          message.writeUInt32BE(length, 1);
          return message;
        }),
      );
      const sizes = new MessageSizes(20);
      const allowed = pieces(bytes, where).every((piece) => sizes.allow(piece));
      expect(allowed).toBe(lengths.every((length) => length <= 20));
    }),
  );
});

test("base64 is read however it was padded and cut", () => {
  const texts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 5 });
  fc.assert(
    fc.property(texts, cuts, (parts, where) => {
      const encoded = parts.map((part) => Buffer.from(part).toString("base64")).join("");
      const text = new WebText();
      const read = pieces(Buffer.from(encoded), where).map((piece) => text.decode(piece));
      expect(Buffer.concat(read)).toEqual(Buffer.concat(parts.map((part) => Buffer.from(part))));
    }),
  );
});

test("what is left of a deadline is never told as more", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ms) => {
      const told = timeoutMsOf(timeoutText(ms));
      expect(told).toBeLessThanOrEqual(ms);
      expect(timeoutText(ms)).toMatch(/^\d{1,8}[mM]$/);
    }),
  );
});

test.each([
  ["1H", 3_600_000],
  ["2M", 120_000],
  ["3S", 3_000],
  ["4m", 4],
  ["5u", 0.005],
  ["123456789S", undefined],
  ["-1S", undefined],
  ["1", undefined],
  ["", undefined],
])("grpc-timeout %j is %j ms", (text, ms) => {
  expect(timeoutMsOf(text)).toBe(ms);
});

test("an answer is whole where its last message is, however its bytes are cut", () => {
  const message = Buffer.from([0, 0, 0, 0, 3, 1, 2, 3]);
  fc.assert(
    fc.property(fc.nat({ max: 24 }), cuts, (length, where) => {
      const sizes = new MessageSizes(Number.POSITIVE_INFINITY);
      const bytes = Buffer.concat([message, message, message]).subarray(0, length);
      for (const piece of pieces(bytes, where)) sizes.allow(piece);
      expect(sizes.isBetween).toBe(length % message.length === 0);
    }),
  );
});

test("what is no status with details has none, whatever its bytes are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      for (const { type, value } of statusDetails(Buffer.from(bytes).toString("base64"))) {
        expect(type).toBeTypeOf("string");
        expect(value).not.toContain("=");
      }
    }),
  );
});

test("details are found among other fields of a status", () => {
  const anys = fc.array(fc.tuple(fc.stringMatching(/^[a-z.A-Z]{1,20}$/), fc.uint8Array()));
  fc.assert(
    fc.property(anys, fc.integer(), (given, code) => {
      // A code below 0 is ten bytes long.
      const writer = new BinaryWriter().uint32(8).int32(code).uint32(0x21).fixed64("7");
      for (const [type, value] of given) {
        const any = new BinaryWriter().uint32(10).string(`type.googleapis.com/${type}`);
        writer.uint32(26).bytes(any.uint32(18).bytes(value).finish());
      }
      const told = statusDetails(
        Buffer.from(writer.uint32(0x2d).fixed32(7).finish()).toString("base64"),
      );
      expect(told).toEqual(
        given.map(([type, value]) => ({
          type,
          value: Buffer.from(value).toString("base64").replace(/=+$/, ""),
        })),
      );
    }),
  );
});

test.each([
  ["gzip", true],
  ["br, GZIP;q=0.5", true],
  ["gzip;q=0", false],
  ["gzip; q=0.00", false],
  ["gzip;q=0.01", true],
  ["x-gzip, br", false],
  ["", false],
])("%j takes gzip: %j", (accepted, takes) => {
  expect(acceptsCoding(accepted, "gzip")).toBe(takes);
});

test("a message of a status has no byte that a field may not have, and is found again", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const told = grpcMessage(text);
      expect(told).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeURIComponent(told)).toBe(text);
      expect(messageOf(told)).toBe(text);
    }),
  );
});

test.each([
  [401, false, 16],
  [403, false, 7],
  [404, false, 12],
  [400, false, 3],
  [413, false, 8],
  [415, false, 12],
  [429, true, 8],
  [500, false, 13],
  [502, true, 14],
  [502, false, 2],
  [503, true, 14],
  [504, true, 4],
])("status %j (retryable: %j) is %j of gRPC", (status, isRetryable, code) => {
  expect(grpcStatusOf(status, isRetryable)).toBe(code);
});
