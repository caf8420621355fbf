/**
 * `text`, which is whole lines, in pieces of whole lines with up to `maxBytes` each; a line that is longer is a piece of
 * its own.
 */
export function* linesOf(text: string, maxBytes: number): Generator<string> {
  let piece = "";
  let bytes = 0;
  for (const [line] of text.matchAll(/.*\n/g)) {
    const lineBytes = Buffer.byteLength(line);
    if (bytes > 0 && bytes + lineBytes > maxBytes) {
      yield piece;
      piece = "";
      bytes = 0;
    }
    piece += line;
    bytes += lineBytes;
  }
  if (piece !== "") yield piece;
}
