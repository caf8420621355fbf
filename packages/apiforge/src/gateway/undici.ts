import { createRequire } from "node:module";
import type * as Undici from "undici";

const require = createRequire(import.meta.url);

/** undici, loaded with the first upstream: 60 ms and 13 MB that a server without one does not need. */
export function loadUndici(): typeof Undici {
  return require("undici") as typeof Undici;
}
