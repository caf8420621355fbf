import { startRedis } from "@apiforge/testing";
import { createHmac, randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { freePort, startServer } from "../../measure/server-process.ts";
import { alertQueue } from "../peer/alerts.ts";
import type { StoreKind } from "../peer/settings.ts";
import { startBenchPostgres } from "../postgres.ts";
import {
  jobConcurrency,
  type EffectCounts,
  type ServerOptions,
  type Target,
  type TargetServer,
  type TargetStore,
} from "./target.ts";

const entry = fileURLToPath(new URL("../peer/main.ts", import.meta.url));
const tokenSeconds = 43_200;
const scanCount = 5_000;
/** Every state of a job of BullMQ but `completed`. */
const unfinishedStates = [
  "wait",
  "prioritized",
  "waiting-children",
  "active",
  "delayed",
  "failed",
] as const;

/** Which of the peer's forms is measured. */
export interface PeerForm {
  readonly name: string;
  readonly store: StoreKind;
  /** When Redis syncs its log. */
  readonly appendfsync: "everysec" | "always";
}

const writes: Readonly<Record<StoreKind, string>> = {
  transaction: "a client per request with BEGIN, INSERT project, INSERT event, COMMIT",
  "single-statement": "project and event in one statement on the pool",
};

/** Fastify + PostgreSQL + Redis + BullMQ in the form `form`. */
export function peerTarget(form: PeerForm): Target {
  const { name, store, appendfsync } = form;
  return {
    name,
    description: `Fastify, pg (${writes[store]}), idempotency keys in Redis (SET NX, then the stored answer), BullMQ's queue.add; Redis appendfsync ${appendfsync}.`,
    durability: `PostgreSQL fsync=on, synchronous_commit=on; Redis appendfsync=${appendfsync}`,
    createStore: () => createPeerStore(form),
  };
}

async function createPeerStore({ store, appendfsync }: PeerForm): Promise<TargetStore> {
  const postgres = await startBenchPostgres();
  const redis = await startRedis({ appendfsync });
  const redisPid = await readRedisPid(redis.url);
  const urls = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  return {
    startServer: (options) => startPeer({ ...urls, STORE: store }, options),
    servicePids: () => [postgres.pid() ?? 0, redisPid],
    countEffects: () => countEffects(postgres.url, redis.url),
    async dispose() {
      await redis.stop();
      await postgres.stop();
    },
  };
}

async function startPeer(
  variables: Readonly<Record<string, string>>,
  options: ServerOptions,
): Promise<TargetServer> {
  const port = await freePort();
  const secret = randomBytes(32).toString("hex");
  const server = await startServer({
    entry,
    readyText: "Peer ready on",
    environment: {
      ...variables,
      PORT: String(port),
      JWT_SECRET: secret,
      PG_POOL: String(options.postgresConnections),
      JOB_CONCURRENCY: String(options.workers ? jobConcurrency : 0),
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
      ...(await countJobs(redis)),
      keys: await countRecordedKeys(redis),
    };
  } finally {
    await client.end();
    redis.disconnect();
  }
}

/** BullMQ numbers its jobs from a counter; completed ones leave the queue, not the count. */
async function countJobs(redis: Redis) {
  const jobs = Number(await redis.get(`bull:${alertQueue}:id`));
  const queue = new Queue(alertQueue, { connection: redis });
  const counts = await queue.getJobCounts(...unfinishedStates);
  await queue.close();
  const unfinished = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { jobs, completedJobs: jobs - unfinished };
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
