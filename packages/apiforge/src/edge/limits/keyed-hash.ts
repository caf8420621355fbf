/** Makes a hash of texts, as whole numbers of 32 bits. */
export type TextHash = (text: string) => number;

/**
 * Marvin32 over UTF-16 code units, two at a time: who does not know the key cannot choose texts that
 * fall together. After System.Marvin of https://github.com/dotnet/runtime
 */
export function keyedHash(keyLow: number, keyHigh: number): TextHash {
  return function hash(text) {
    let low = keyLow | 0;
    let high = keyHigh | 0;
    const even = text.length & ~1;
    // Two rounds more than there are pairs: one ends the text, one mixes what it did.
    for (let n = 0; n <= even + 2; n += 2) {
      low = (low + blockAt(text, n, even)) | 0;
      high ^= low;
      low = (rotated(low, 20) + high) | 0;
      high = rotated(high, 9) ^ low;
      low = (rotated(low, 27) + high) | 0;
      high = rotated(high, 19);
    }
    return low ^ high;
  };
}

/** The pair at `n`; behind the last a mark that no longer text has there. */
function blockAt(text: string, n: number, even: number): number {
  if (n < even) return text.charCodeAt(n) | (text.charCodeAt(n + 1) << 16);
  if (n > even) return 0;
  return even < text.length ? text.charCodeAt(n) | 0x80_0000 : 0x80;
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
