// Run once after an install, so that the first start finds the cache as full as every later one.
// oxlint-disable-next-line import/no-unassigned-import -- it acts by being loaded, before everything else
import "./compile-cache.mjs";

await Promise.all([
  import("./serve.ts"),
  import("@apiforge/sandbox"),
  import("apiforge/internal/store/sqlite"),
  import("apiforge/internal/store/postgres"),
]);
