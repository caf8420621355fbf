// As `npm start` runs a server: with its compiled modules kept, and what only its start needed freed.
// oxlint-disable-next-line import/no-unassigned-import -- it acts by being loaded, before everything else
import "@apiforge/example-server/compile-cache";

const { serve } = await import("./main.ts");
await serve();
