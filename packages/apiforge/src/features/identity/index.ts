export type { ApiKeyInfo, IssuedKey, NewApiKey } from "./key-record.ts";
export { KeyRing } from "./key-ring.ts";
export { keyModes } from "./key-text.ts";
export { KeyUsage } from "./key-usage.ts";
export { createKeyVerifier } from "./key-verifier.ts";
export { findKey, listKeys } from "./keys-table.ts";
export { RevocationWatch } from "./revocation-watch.ts";
