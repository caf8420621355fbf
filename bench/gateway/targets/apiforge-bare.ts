import { createForge, defineProxy, upstream, runForge } from "apiforge";
import { connections, readSettings } from "../settings.ts";

/** Ours with its optional stages off: what is left is the guard, the id, the route and the proxy. */
const settings = readSettings();
const behind = upstream({ name: "bench", endpoints: [settings.upstream], connections });
const forge = await createForge(
  { routes: defineProxy({ path: "/*", methods: ["GET"], auth: "none", upstream: behind }) },
  {
    config: {
      dataDir: settings.folder,
      port: settings.port,
      host: "127.0.0.1",
      jobConcurrency: 0,
      accessLog: "off",
    },
  },
);
await runForge(forge);
