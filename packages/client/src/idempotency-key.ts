/** A new key for one intent to write: 128 random bits. */
export function newIdempotencyKey(): string {
  // Unlike randomUUID, getRandomValues is there on pages without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
