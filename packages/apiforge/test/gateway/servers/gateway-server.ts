import { createForge, defineProxy, upstream } from "apiforge";

// Ends by itself: what an upstream leaves open would keep the process alive.
const behind = upstream({ name: "behind", endpoints: [process.env["UPSTREAM_URL"] ?? ""] });
const forge = await createForge({
  routes: defineProxy({ path: "/*", auth: "none", upstream: behind }),
});
process.once("SIGTERM", () => {
  console.log("stopping");
  void forge.stop();
});
const { url } = await forge.listen();
console.log(`APIForge ready on ${url}`);
