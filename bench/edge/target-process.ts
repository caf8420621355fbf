import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { processUsage, type ProcessUsage } from "../measure/server-process.ts";

/** A running target. */
export interface EdgeTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  usage(): ProcessUsage;
  stop(): Promise<void>;
}

const secret = "a secret of the bench, of at least 32 bytes";
const origin = "https://shop.example.com";
const tokenSeconds = 43_200;

/** Starts targets/`name`.ts on core `core`; its log goes to /dev/null, which costs it the writes. `without`: a stage that it leaves out. */
export async function startTarget(name: string, core: number, without = ""): Promise<EdgeTarget> {
  const entry = fileURLToPath(new URL(`targets/${name}.ts`, import.meta.url));
  const nowhere = openSync("/dev/null", "w");
  const command = [process.execPath, "--conditions=@apiforge/source", entry];
  const child = spawn("taskset", ["-c", String(core), ...command], {
    env: {
      ...process.env,
      NODE_ENV: "production",
      EDGE_SECRET: secret,
      EDGE_ORIGIN: origin,
      EDGE_WITHOUT: without,
    },
    stdio: ["ignore", nowhere, "inherit", "ipc"],
  });
  closeSync(nowhere);
  const ended = once(child, "exit").then(() => []);
  const [ready]: [{ url: string; token?: string }?] = await Promise.race([
    once(child, "message") as Promise<[{ url: string; token?: string }]>,
    ended as Promise<[]>,
  ]);
  if (ready === undefined) throw new Error(`${name} ended before it served.`);
  return {
    url: ready.url,
    headers: { Authorization: `Bearer ${ready.token ?? signToken()}`, Origin: origin },
    usage: () => processUsage(child.pid ?? 0),
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** An HS256 token (RFC 7515, RFC 7519). */
function signToken(): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = {
    sub: "usr_bench",
    tenant: "ten_bench",
    iat: issuedAt,
    exp: issuedAt + tokenSeconds,
  };
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
