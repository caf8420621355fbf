// A gateway whose upstream's requests have keys. KEYED=1: the upstream knows them itself.
import { createForge, defineProxy, runForge, upstream } from "apiforge";

const behind = upstream({
  name: "behind",
  endpoints: [process.env["UPSTREAM_URL"] ?? ""],
  retry: { attempts: 1, keyed: process.env["KEYED"] === "1" },
});
await runForge(
  await createForge({
    routes: defineProxy({ path: "/*", upstream: behind, idempotency: "required" }),
  }),
);
