import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createDevIssuer, createTokenVerifier, type DevIssuer } from "../../src/edge/index.ts";
import { silentLog } from "../../src/kernel/index.ts";
import { ManualClock, recordingLog, startHarness } from "./edge-harness.ts";

let directory: string;
const clock = new ManualClock();
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "issuer-"));
});
afterEach(() => rm(directory, { recursive: true }));

function open(path = directory): Promise<DevIssuer> {
  return createDevIssuer({ directory: path, clock, log: silentLog });
}

function verify(issuer: DevIssuer, token: string) {
  const trusted = { issuer: issuer.issuer, audience: issuer.audience, jwks: issuer.jwks() };
  return createTokenVerifier({ issuers: [trusted], clock }).verify(token);
}

test("it signs tokens that its published keys verify", async () => {
  const issuer = await open();
  const token = await issuer.sign({
    subject: "usr_1",
    tenant: "ten_1",
    role: "driver",
    email: "a@b.c",
    scopes: ["a", "b"],
    ttl: "1m",
  });
  const { principal, expiresAt } = await verify(issuer, token);
  expect(principal).toMatchObject({
    subject: "usr_1",
    tenant: "ten_1",
    role: "driver",
    email: "a@b.c",
    scopes: ["a", "b"],
  });
  expect(expiresAt).toBe(clock.now() + 60_000);
});

test("its key lasts, in a folder that is made, for its owner only", async () => {
  const path = join(directory, "made", "later");
  const token = await (await open(path)).sign({ subject: "s", tenant: "t", role: "r" });
  await expect(verify(await open(path), token)).resolves.toBeDefined();
  const files = await readdir(path);
  expect(files).toEqual(["dev-issuer.jwk.json"]);
  expect((await stat(join(path, files[0] ?? ""))).mode & 0o777).toBe(0o600);
});

test("issuers that start together have one key", async () => {
  const issuers = await Promise.all(Array.from({ length: 8 }, () => open()));
  const keys = new Set(issuers.map((issuer) => JSON.stringify(issuer.jwks())));
  expect(keys.size).toBe(1);
  expect(await readdir(directory)).toEqual(["dev-issuer.jwk.json"]);
});

test("it publishes no private part", async () => {
  const [key] = (await open()).jwks().keys;
  expect(Object.keys(key ?? {}).sort()).toEqual(["alg", "crv", "kid", "kty", "use", "x", "y"]);
});

test("it says that it is on, and nothing of its key", async () => {
  const { log, lines } = recordingLog();
  await createDevIssuer({ directory, clock, log });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: "warn",
    message: expect.stringContaining("development"),
  });
});

test("a server publishes the keys of its issuer", async () => {
  const harness = await startHarness([]);
  const response = await harness.edge.inject({ url: "/.well-known/jwks.json" });
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual(harness.issuer.jwks());
  await harness.stop();
});
