import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  createHttpClient,
  eventually,
  freePort,
  spawnProcess,
  spawnServer,
  type ReadyServer,
} from "@apiforge/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const entry = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const tokenProgram = fileURLToPath(
  new URL("../../../packages/apiforge/src/cli/token.ts", import.meta.url),
);
const source = "--conditions=@apiforge/source";

let dataDir: string;
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), "apiforge-example-server-"));
});
afterAll(() => rmSync(dataDir, { recursive: true }));

function start(env: Readonly<Record<string, string>> = {}): Promise<ReadyServer> {
  return spawnServer({ entry, env: { PORT: "0", APIFORGE_DATA_DIR: dataDir, ...env } });
}

async function sandboxOf(server: ReadyServer): Promise<string> {
  const [, url = ""] = await server.waitForLine(/^Sandbox providers on (http:\/\/\S+)$/);
  return url;
}

async function isServed(url: string): Promise<boolean> {
  await using client = createHttpClient(url);
  try {
    await client.request({ path: "/" });
    return true;
  } catch {
    return false;
  }
}

/** What `npm run -s token` prints, by the program that it runs. */
async function token(...args: readonly string[]): Promise<string> {
  const env = { PATH: process.env["PATH"], APIFORGE_DATA_DIR: dataDir };
  const command = [source, tokenProgram, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { env });
  return stdout.trim();
}

describe("with nothing configured", () => {
  test("serves, with the sandbox beside it, and says where", async () => {
    await using server = await start();
    const sandbox = await sandboxOf(server);
    expect(server.stdout()).toMatch(/^APIForge ready on http:\/\/127\.0\.0\.1:\d+$/m);
    await using client = createHttpClient(server.url);
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });

    const bearer = await token("--sub", "usr_9f3k2m", "--email", "priya@apiforge.dev");
    const created = await client.request({
      method: "POST",
      path: "/api/projects",
      token: bearer,
      body: { name: "Notification Service", status: "active" },
    });
    expect(created.status).toBe(201);
    expect(created.json()).toMatchObject({
      success: true,
      data: { status: "active", createdBy: "usr_9f3k2m" },
    });
    await using providers = createHttpClient(sandbox);
    await eventually("the alert in the sandbox", async () => {
      const { body } = await providers.request({ path: "/_sandbox/slack/messages" });
      return body.includes("New project created by priya@apiforge.dev");
    });
    await server.stop();
    await eventually("the sandbox has ended too", async () => !(await isServed(sandbox)));
  });

  test("a killed server takes its sandbox along", async () => {
    const server = await start();
    const sandbox = await sandboxOf(server);
    expect(await isServed(sandbox)).toBe(true);
    await server.kill9();
    await eventually("the sandbox has ended too", async () => !(await isServed(sandbox)));
  });

  test("what was stored is there at the next start, and so are the keys", async () => {
    const bearer = await token("--sub", "usr_9f3k2m", "--tenant", "ten_restart");
    const request = { path: "/api/projects", token: bearer };
    const first = await start();
    await using before = createHttpClient(first.url);
    const body = { name: "Kept" };
    expect((await before.request({ ...request, method: "POST", body })).status).toBe(201);
    const listed = await before.request(request);
    await first.stop();
    await using second = await start();
    await using after = createHttpClient(second.url);
    expect(await after.request(request)).toMatchObject({ status: 200, body: listed.body });
    await second.stop();
  });
});

test("SANDBOX_PORT and PORT choose the ports", async () => {
  const [port, sandboxPort] = await Promise.all([freePort(), freePort()]);
  await using server = await start({ PORT: String(port), SANDBOX_PORT: String(sandboxPort) });
  expect(server.url).toBe(`http://127.0.0.1:${port}`);
  expect(await sandboxOf(server)).toBe(`http://127.0.0.1:${sandboxPort}`);
  await server.stop();
});

const twilioAccount = {
  TWILIO_ACCOUNT_SID: `AC${"1".repeat(32)}`,
  TWILIO_AUTH_TOKEN: "12345",
  TWILIO_PHONE_NUMBER: "+15005550006",
};

test("with every provider configured no sandbox is started", async () => {
  await using server = await start({
    SLACK_WEBHOOK_URL: "http://127.0.0.1:9/services/T/B/x",
    CLINIC_SMS_URL: "http://127.0.0.1:9/sms",
    CLINIC_CRM_URL: "http://127.0.0.1:9/crm",
    SMTP_URL: "smtp://127.0.0.1:9",
    ...twilioAccount,
  });
  expect(server.stdout()).not.toContain("Sandbox");
  await server.stop();
});

test.for([
  [{ ...twilioAccount, TWILIO_AUTH_TOKEN: "" }, "TWILIO_AUTH_TOKEN must be set as well"],
  [{ ...twilioAccount, TWILIO_ACCOUNT_SID: "SK1" }, "TWILIO_ACCOUNT_SID must be AC and 32"],
  [{ TWILIO_MESSAGES_PER_SECOND: "0" }, "TWILIO_MESSAGES_PER_SECOND: 0 is not a rate"],
  [{ TWILIO_SPENDING_CAP_USD: "lots" }, "TWILIO_SPENDING_CAP_USD: lots is not an amount"],
  [{ TWILIO_PRICES_USD: "cheap" }, "TWILIO_PRICES_USD: cheap is not a price list"],
  [{ SMTP_URL: "http://127.0.0.1:9" }, "SMTP_URL: its value is no smtp:// or smtps:// address"],
  [{ REPOS_DOCUMENTS: "none" }, "REPOS_DOCUMENTS: none is neither any nor listed"],
] as const)("%j keeps it from starting, with the reason", async ([env, reason]) => {
  await using server = spawnProcess({
    entry,
    env: { PORT: "0", APIFORGE_DATA_DIR: dataDir, ...env },
  });
  await expect(server.waitForLine(/^APIForge ready/)).rejects.toThrow("exit code 1");
  expect(server.stderr()).toContain(`APIForge cannot start: ${reason}`);
});

test("SIGINT stops it like SIGTERM", async () => {
  const server = spawnProcess({ entry, env: { PORT: "0", APIFORGE_DATA_DIR: dataDir } });
  await server.waitForLine(/^APIForge ready/);
  process.kill(server.pid, "SIGINT");
  await expect(server.waitForLine(/never/)).rejects.toThrow("ended (exit code 0)");
});

describe("token", () => {
  test.for([
    [["--tenant", "ten_apiforge"], "--sub is missing"],
    [["--sub", "usr_1", "--role", "owner"], "--role must be one of"],
    [["--sub", "usr_1", "--ttl", "soon"], "soon is not a duration"],
    [["--sub", "usr_1", "--colour", "red"], "Unknown option"],
  ] as const)("%s is refused with the usage", async ([args, message]) => {
    const failed: unknown = await token(...args).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 2, stdout: "" });
    expect(failed).toHaveProperty("stderr", expect.stringContaining(message));
    expect(failed).toHaveProperty("stderr", expect.stringContaining("Usage: npm run -s token"));
  });
});
