import { createHash } from "node:crypto";
import { createAuthorisers, type Principal, type VerifiedToken } from "apiforge/internal/edge";
import { systemClock } from "apiforge/internal/kernel";
import { median } from "../measure/statistics.ts";
import { markdownTable } from "../measure/table.ts";

/*
 * What it costs to know a caller again: CPU time of this process per credential that is remembered,
 * out of as many callers as come in turn. `npx node --conditions=@apiforge/source
 * bench/authoriser/run.ts`; it takes 10 s.
 */

const callers = 5_000;
const hitsPerRound = 300_000;
const rounds = 7;
const lengths = { "API key": 46, "token of 300 characters": 300, "token of 700": 700 };

const revocations = {
  epoch: 0,
  lastOf: () => 0,
  isFresh: () => performance.now() >= 0,
  refresh: () => Promise.resolve(),
};

async function verify(credential: string): Promise<VerifiedToken> {
  const principal = { subject: credential.slice(-8), tenant: "ten_1", role: "member", scopes: [] };
  return { principal, expiresAt: Number.POSITIVE_INFINITY };
}

/** Texts as they come from sockets: each a new string, whose hash nobody has computed yet. */
function credentials(length: number): readonly Buffer[] {
  return Array.from({ length: callers }, (_, index) => {
    const random = createHash("shake256", { outputLength: length }).update(String(index)).digest();
    return Buffer.from(random.toString("base64url").slice(0, length), "latin1");
  });
}

async function measure(length: number): Promise<{ hitUs: number; missUs: number }> {
  // With something to add, so that what may be revoked is looked at as for a key.
  const enrich = async (principal: Principal) => principal;
  const options = { revocations, enrich };
  const { tokens } = createAuthorisers({ verify }, undefined, systemClock, options);
  const texts = credentials(length);
  const missedAt = process.cpuUsage();
  for (const text of texts) await tokens.authorise(text.toString("latin1"));
  const missUs = usSince(missedAt) / callers;
  const measured: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = process.cpuUsage();
    for (let index = 0; index < hitsPerRound; index++) {
      const text = texts[index % callers]?.toString("latin1") ?? "";
      if (tokens.authorise(text) instanceof Promise) throw new Error("It was forgotten");
    }
    measured.push(usSince(startedAt) / hitsPerRound);
  }
  return { hitUs: median(measured), missUs };
}

function usSince(startedAt: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(startedAt);
  return user + system;
}

const rows: string[][] = [];
for (const [name, length] of Object.entries(lengths)) {
  const { hitUs, missUs } = await measure(length);
  rows.push([name, hitUs.toFixed(2), missUs.toFixed(2)]);
}
console.log(markdownTable(["credential", "hit us", "miss us, without its verification"], rows));
