// What `npm start` runs.
// oxlint-disable-next-line import/no-unassigned-import -- it acts by being loaded, before everything else
import "./compile-cache.mjs";

const { serve } = await import("./serve.ts");
await serve();
