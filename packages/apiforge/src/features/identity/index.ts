export type { ApiKeyInfo, IssuedKey, NewApiKey } from "./key-record.ts";
export { KeyRing } from "./key-ring.ts";
export { keyModes, type KeyMode } from "./key-text.ts";
export { createKeyVerifier } from "./key-verifier.ts";
export { findKey, listKeys } from "./keys-table.ts";
export { RevocationWatch } from "./revocation-watch.ts";
