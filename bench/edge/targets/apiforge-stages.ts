import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDurable } from "apiforge/internal/durable";
import { createDevIssuer, createEdge, createTokenVerifier } from "apiforge/internal/edge";
import { silentLog, systemClock } from "apiforge/internal/kernel";
import { openSqliteStore } from "apiforge/internal/store/sqlite";
import { pino } from "pino";
import { productRouteWithout } from "../product-route.ts";
import { announce, readSettings } from "../settings.ts";

/** The edge of `apiforge`, from which the bench takes one stage at a time to see what it costs. */
const without = process.env["EDGE_WITHOUT"] ?? "";
const directory = mkdtempSync(join(tmpdir(), "apiforge-bench-edge-"));
process.once("exit", () => rmSync(directory, { recursive: true }));
process.once("SIGTERM", () => void edge.close().then(() => process.exit()));
const clock = systemClock;
const store = await openSqliteStore({
  path: ":memory:",
  migrations: [],
  transactionLimitMs: 5_000,
  log: silentLog,
  clock,
});
const issuer = await createDevIssuer({ directory, clock, log: silentLog });
const issuers = [{ issuer: issuer.issuer, audience: issuer.audience, jwks: issuer.jwks() }];
const output = pino.destination(1);
const edge = createEdge({
  routes: [productRouteWithout(without, readSettings())],
  durable: createDurable({ store, log: silentLog, jobs: [], consumers: [] }),
  verifier: createTokenVerifier({ issuers, clock }),
  log: pino({ level: "info", base: null, timestamp: pino.stdTimeFunctions.isoTime }, output),
  clock,
  cursorKey: new Uint8Array(32).fill(7),
  ready: () => store.check(),
  ...(without === "metrics" ? {} : { metrics: {} }),
  ...(without === "access-log" ? {} : { accessLog: { sink: output } }),
});
const token = await issuer.sign({ subject: "usr_bench", tenant: "ten_bench", role: "admin" });
const { url } = await edge.listen({ port: 0, host: "127.0.0.1" });
announce(url, token);
