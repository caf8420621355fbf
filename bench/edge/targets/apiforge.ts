import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createForge } from "apiforge";
import { createDevIssuer } from "apiforge/internal/edge";
import { silentLog, systemClock } from "apiforge/internal/kernel";
import { productRoute } from "../product-route.ts";
import { announce, readSettings } from "../settings.ts";

/** Ours with every stage that the peers have, metrics on top. Tokens are ES256: shared secrets are not taken. */
const dataDir = mkdtempSync(join(tmpdir(), "apiforge-bench-edge-"));
process.once("exit", () => rmSync(dataDir, { recursive: true }));
process.once("SIGTERM", () => void forge.stop().then(() => process.exit()));
const forge = await createForge(
  { routes: [productRoute(readSettings())] },
  {
    config: {
      dataDir,
      port: 0,
      host: "127.0.0.1",
      jobConcurrency: 0,
      logLevel: "info",
      accessLog: "all",
    },
  },
);
const issuer = await createDevIssuer({
  directory: join(dataDir, "keys"),
  clock: systemClock,
  log: silentLog,
  issuer: forge.config.jwtIssuer,
  audience: forge.config.jwtAudience,
});
const token = await issuer.sign({ subject: "usr_bench", tenant: "ten_bench", role: "admin" });
const { url } = await forge.listen();
announce(url, token);
