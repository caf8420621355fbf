import { startRedis } from "@apiforge/testing";
import { createHmac, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import pg from "pg";
import { freePort, startServer } from "../../measure/server-process.ts";
import { startBenchPostgres } from "../postgres.ts";
import type { EffectCounts, ServerOptions, Target, TargetServer, TargetStore } from "./target.ts";

const entry = fileURLToPath(new URL("../peer/main.ts", import.meta.url));
const tokenSeconds = 43_200;
const scanCount = 5_000;

/** Fastify + PostgreSQL + Redis + BullMQ; `appendfsync` says when Redis syncs its log. */
export function peerTarget(name: string, appendfsync: "everysec" | "always"): Target {
  return {
    name,
    durability: `PostgreSQL fsync=on, synchronous_commit=on; Redis appendfsync=${appendfsync}`,
    createStore: () => createPeerStore(appendfsync),
  };
}

async function createPeerStore(appendfsync: "everysec" | "always"): Promise<TargetStore> {
  const postgres = await startBenchPostgres();
  const redis = await startRedis({ appendfsync });
  const redisPid = await readRedisPid(redis.url);
  return {
    startServer: (options) => startPeer(postgres.url, redis.url, options),
    servicePids: () => [postgres.pid() ?? 0, redisPid],
    countEffects: () => countEffects(postgres.url, redis.url),
    async dispose() {
      await redis.stop();
      await postgres.stop();
    },
  };
}

async function startPeer(
  databaseUrl: string,
  redisUrl: string,
  options: ServerOptions,
): Promise<TargetServer> {
  const port = await freePort();
  const secret = randomBytes(32).toString("hex");
  const server = await startServer({
    entry,
    readyText: "Peer ready on",
    environment: {
      PORT: String(port),
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      JWT_SECRET: secret,
      PG_POOL: String(options.postgresConnections),
      WORKERS: options.workers ? "on" : "off",
    },
  });
  return {
    process: server,
    origin: `http://127.0.0.1:${port}`,
    path: "/api/projects",
    token: signToken(secret),
  };
}

/** An HS256 token (RFC 7515, RFC 7519) as an identity provider would issue it. */
function signToken(secret: string): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const head = encode({ alg: "HS256", typ: "JWT" });
  const claims = encode({
    sub: "usr_bench",
    tenant: "ten_bench",
    email: "bench@apiforge.dev",
    role: "admin",
    iat: issuedAt,
    exp: issuedAt + tokenSeconds,
  });
  const signature = createHmac("sha256", secret).update(`${head}.${claims}`).digest("base64url");
  return `${head}.${claims}.${signature}`;
}

async function countEffects(databaseUrl: string, redisUrl: string): Promise<EffectCounts> {
  const client = new pg.Client({ connectionString: databaseUrl });
  const redis = new Redis(redisUrl);
  await client.connect();
  try {
    // Projects count only with their event, so the two numbers differ when one is without the other.
    const { rows } = await client.query<{ projects: number; events: number }>(
      `select (select count(*) from projects)::int as projects,
              (select count(*) from events e join projects p on p.id = e.data::json->>'id')::int as events`,
    );
    return {
      projects: rows[0]?.projects ?? 0,
      events: rows[0]?.events ?? 0,
      // BullMQ numbers its jobs from this counter; finished ones leave the queue, not the count.
      jobs: Number(await redis.get("bull:slack-alert:id")),
      keys: await countRecordedKeys(redis),
    };
  } finally {
    await client.end();
    redis.disconnect();
  }
}

async function countRecordedKeys(redis: Redis): Promise<number> {
  let recorded = 0;
  let cursor = "0";
  do {
    const [next, names] = await redis.scan(cursor, "MATCH", "idempotency:*", "COUNT", scanCount);
    const records = names.length === 0 ? [] : await redis.mget(names);
    recorded += records.filter((record) => record?.includes('"status":201')).length;
    cursor = next;
  } while (cursor !== "0");
  return recorded;
}

async function readRedisPid(url: string): Promise<number> {
  const redis = new Redis(url);
  try {
    return Number(/process_id:(\d+)/.exec(await redis.info("server"))?.[1]);
  } finally {
    redis.disconnect();
  }
}
