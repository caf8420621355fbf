/*
 * Node keeps compiled modules, with their types already stripped, in a cache that must be on before
 * the first TypeScript file is loaded. With it the server starts in half the time and with 25 MB
 * less memory, as Node never loads its type stripper.
 */
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// For `start-garbage.ts`. Before the cache is on, as a cache is of use only to the flags it was made with.
setFlagsFromString("--expose-gc");
globalThis.gc = runInNewContext("gc");

enableCompileCache(
  fileURLToPath(new URL("../../../node_modules/.cache/compiled", import.meta.url)),
);
// Processes that this one starts share the cache.
process.env.NODE_COMPILE_CACHE ??= getCompileCacheDir();
