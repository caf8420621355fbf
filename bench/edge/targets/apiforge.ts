import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createForge, defineRoute } from "apiforge";
import { createDevIssuer } from "apiforge/internal/edge";
import { silentLog, systemClock } from "apiforge/internal/kernel";
import { z } from "zod";
import { productOf } from "../product.ts";
import { announce } from "../settings.ts";

const product = z.object({
  id: z.string(),
  name: z.string(),
  price: z.object({ amount: z.int(), currency: z.string() }),
  tags: z.array(z.string()),
  stock: z.int(),
  updatedAt: z.string(),
});

/** Ours, with the stages that the peers have. Tokens are ES256: shared secrets are not taken. */
const readProduct = defineRoute({
  method: "GET",
  path: "/products/:id",
  params: z.object({ id: z.string().regex(/^\d+$/) }),
  query: z.object({ detail: z.enum(["full", "short"]).default("short") }),
  transaction: "none",
  replies: { 200: product },
  handler: ({ params, query }) => ({ status: 200, body: productOf(params.id, query.detail) }),
});

const dataDir = mkdtempSync(join(tmpdir(), "apiforge-bench-edge-"));
process.once("exit", () => rmSync(dataDir, { recursive: true }));
process.once("SIGTERM", () => void forge.stop().then(() => process.exit()));
const forge = await createForge(
  { routes: [readProduct] },
  { config: { dataDir, port: 0, host: "127.0.0.1", jobConcurrency: 0, logLevel: "info" } },
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
