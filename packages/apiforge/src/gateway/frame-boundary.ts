import { randomBytes } from "node:crypto";

const closeOpcode = 8;
/** Code 1001, "going away" (RFC 6455 section 7.4.1). */
const goingAway = Buffer.from([0x03, 0xe9]);
const finalClose = 0x80 | closeOpcode;
const maskBit = 0x80;

/**
 * Knows whether one direction of a WebSocket stands between two frames (RFC 6455 section 5.2), the only place
 * where a frame of ours can go. Only heads are looked at, wherever pieces are cut.
 */
export class FrameBoundary {
  /** Two bytes, up to eight of a length, four of a mask. */
  readonly #head = Buffer.alloc(14);
  #known = 0;
  /** Of the frame at hand. */
  #left = 0;
  #hasClosed = false;

  /** True where a frame may follow: nothing is half sent, and no close frame was. */
  get isOpen(): boolean {
    return this.#known === 0 && this.#left === 0 && !this.#hasClosed;
  }

  pass(piece: Buffer): void {
    let at = 0;
    while (at < piece.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, piece.length - at);
        this.#left -= taken;
        at += taken;
      } else {
        this.#head[this.#known] = piece[at] ?? 0;
        this.#known += 1;
        at += 1;
        if (this.#known === headBytes(this.#head, this.#known)) this.#begin();
      }
    }
  }

  #begin(): void {
    this.#known = 0;
    this.#left = payloadBytes(this.#head);
    if (((this.#head[0] ?? 0) & 0x0f) === closeOpcode) this.#hasClosed = true;
  }
}

/** Of lengths that do not fit into seven bits. */
const extendedBytes: Readonly<Record<number, number>> = { 126: 2, 127: 8 };

/** How long a head is, of which `known` bytes have come. */
function headBytes(head: Buffer, known: number): number {
  if (known < 2) return 2;
  const second = head[1] ?? 0;
  const length = second & 0x7f;
  const extended = extendedBytes[length] ?? 0;
  return 2 + extended + (second & maskBit ? 4 : 0);
}

function payloadBytes(head: Buffer): number {
  const length = (head[1] ?? 0) & 0x7f;
  if (length === 126) return head.readUInt16BE(2);
  return length === 127 ? Number(head.readBigUInt64BE(2)) : length;
}

/** The close frame of a server that goes away. */
export function serverGoodbye(): Buffer {
  return Buffer.from([finalClose, goingAway.length, ...goingAway]);
}

/** That of a client, whose frames are masked. */
export function clientGoodbye(): Buffer {
  const mask = randomBytes(4);
  const masked = goingAway.map((byte, index) => byte ^ (mask[index] ?? 0));
  return Buffer.from([finalClose, maskBit | goingAway.length, ...mask, ...masked]);
}
