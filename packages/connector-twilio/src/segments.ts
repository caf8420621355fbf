// 3GPP TS 23.038 section 6.2.1: the default alphabet, and the extension, whose characters take two.
const defaultAlphabet =
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const extensionTable = "\f^{}\\[~]|€";
const septets = new Map([
  ...Array.from(defaultAlphabet, (character) => [character, 1] as const),
  ...Array.from(extensionTable, (character) => [character, 2] as const),
]);

interface Encoding {
  /** Units of a message that is one segment. */
  readonly single: number;
  /** Units of each segment of a longer one, whose headers take the rest. */
  readonly each: number;
}

const gsm7: Encoding = { single: 160, each: 153 };
const ucs2: Encoding = { single: 70, each: 67 };

/**
 * Segments that a text is sent and charged as: up to 160 characters of GSM 03.38, or 70 UTF-16
 * units as soon as one character is outside of it; longer texts take 153 or 67 each. Twilio may
 * need fewer where smart encoding replaces characters.
 */
export function countSegments(text: string): number {
  const units: number[] = [];
  for (const character of text) {
    const size = septets.get(character);
    if (size === undefined)
      return pack(
        Array.from(text, ({ length }) => length),
        ucs2,
      );
    units.push(size);
  }
  return pack(units, gsm7);
}

/** A character is never split: one that does not fit begins the next segment. */
function pack(units: readonly number[], { single, each }: Encoding): number {
  let total = 0;
  let segments = 1;
  let used = 0;
  for (const size of units) {
    total += size;
    if (used + size > each) {
      segments++;
      used = 0;
    }
    used += size;
  }
  return total <= single ? 1 : segments;
}
