import { createHmac, timingSafeEqual } from "node:crypto";

import { edgeError } from "./errors.ts";

/** Where a page ended: the sort columns of its last row, by name. */
export type Position = Readonly<Record<string, string | number | null>>;

/** Signs and checks cursors. */
export interface CursorCodec {
  /** `binding` names what the cursor is good for; it is signed, not carried. */
  encode(position: Position, binding: string): string;
  /** @throws {invalid_cursor} for text that this codec did not make for this binding. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- only the caller knows what he put in.
  decode<P extends Position>(cursor: string, binding: string): P;
}

const macBytes = 16;
const maxCursorLength = 2_048;
const cursorPattern = /^([\w-]+)\.([\w-]{22})$/;

/**
 * Cursors are `base64url(JSON of the position).base64url(first 16 bytes of HMAC-SHA256)`: callers
 * can read them and cannot make them.
 * @param key at least 32 secret bytes, the same on every node.
 * @throws {TypeError} for a shorter key.
 */
export function createCursorCodec(key: Uint8Array): CursorCodec {
  if (key.length < 32) throw new TypeError(`A cursor key has at least 32 bytes, not ${key.length}`);

  function mac(payload: string, binding: string): string {
    // The payload is base64url and cannot contain the separator.
    const full = createHmac("sha256", key).update(`${payload}\n${binding}`).digest();
    return full.subarray(0, macBytes).toString("base64url");
  }

  return {
    encode(position, binding) {
      const payload = Buffer.from(JSON.stringify(position)).toString("base64url");
      return `${payload}.${mac(payload, binding)}`;
    },
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- see CursorCodec.decode.
    decode<P extends Position>(cursor: string, binding: string) {
      const [, payload, signature] =
        cursor.length <= maxCursorLength ? (cursorPattern.exec(cursor) ?? []) : [];
      if (payload === undefined || signature === undefined) throw invalidCursor();
      // As text: several texts decode to the same bytes.
      const expected = Buffer.from(mac(payload, binding));
      if (!timingSafeEqual(Buffer.from(signature), expected)) throw invalidCursor();
      return JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as P;
    },
  };
}

function invalidCursor(): Error {
  return edgeError("invalid_cursor", "The cursor does not belong to this list; start without one", {
    param: "query.cursor",
  });
}
