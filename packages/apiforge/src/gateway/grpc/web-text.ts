const segments = /[^=]+={0,2}/g;

/** Reads the base64 of a browser's call, wherever its pieces are cut; what was encoded piece by piece has padding in the middle. */
export class WebText {
  #rest = "";

  decode(piece: Buffer): Buffer {
    const text = this.#rest + piece.toString("latin1").replaceAll(/\s/g, "");
    const end = text.length - (text.length % 4);
    this.#rest = text.slice(end);
    const parts = text.slice(0, end).match(segments) ?? [];
    return Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  }
}
