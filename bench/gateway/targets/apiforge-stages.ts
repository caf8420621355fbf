import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createForge, defineProxy, upstream, runForge } from "apiforge";
import { createDevIssuer } from "apiforge/internal/edge";
import { silentLog, systemClock } from "apiforge/internal/kernel";
import { connections, origin, readSettings, requestsPerMinute, tokenFile } from "../settings.ts";

/** Ours with tokens (ES256), a limit, CORS, ids, metrics, and a line of the access log for each request. */
const settings = readSettings();
const behind = upstream({ name: "bench", endpoints: [settings.upstream], connections });
const routes = defineProxy({
  path: "/*",
  methods: ["GET"],
  cors: { origins: [origin] },
  limits: [{ name: "bench", limit: requestsPerMinute, per: "1m", by: "address" }],
  upstream: behind,
});
const forge = await createForge(
  { routes },
  {
    config: {
      dataDir: settings.folder,
      port: settings.port,
      host: "127.0.0.1",
      jobConcurrency: 0,
      logLevel: "info",
      accessLog: "all",
    },
  },
);
const issuer = await createDevIssuer({
  directory: join(settings.folder, "keys"),
  clock: systemClock,
  log: silentLog,
  issuer: forge.config.jwtIssuer,
  audience: forge.config.jwtAudience,
});
const token = await issuer.sign({ subject: "usr_bench", tenant: "ten_bench", role: "admin" });
writeFileSync(tokenFile(settings.folder), token);
await runForge(forge);
