import { createRequire } from "node:module";
import type * as Undici from "undici";

const require = createRequire(import.meta.url);

/** undici, loaded with the first request to an upstream: 60 ms and 13 MB that other servers do not need. */
export function loadUndici(): typeof Undici {
  return require("undici") as typeof Undici;
}
