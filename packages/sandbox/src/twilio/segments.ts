// 3GPP TS 23.038 section 6.2.1: the default alphabet, and its extension, whose characters take two.
const basic = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const extension = new Set("\f^{}\\[~]|€");

/** Segments that a text is sent in: 160 or 153 septets each, or 70 or 67 UTF-16 units. */
export function countSegments(text: string): number {
  const characters = Array.from(text);
  const isGsm = characters.every((character) => basic.has(character) || extension.has(character));
  if (!isGsm)
    return fill(
      characters.map((character) => character.length),
      70,
      67,
    );
  return fill(
    characters.map((character) => (extension.has(character) ? 2 : 1)),
    160,
    153,
  );
}

/** No character is split: what does not fit begins the next segment. */
function fill(sizes: readonly number[], single: number, each: number): number {
  if (sizes.reduce((sum, size) => sum + size, 0) <= single) return 1;
  let segments = 1;
  let used = 0;
  for (const size of sizes) {
    if (used + size > each) {
      segments++;
      used = 0;
    }
    used += size;
  }
  return segments;
}
