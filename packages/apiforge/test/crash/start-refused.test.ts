import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  createDatabase,
  createDeployment,
  createHttpClient,
  spawnProcess,
  startSandboxProcess,
  type Deployment,
  type SandboxProcess,
  type StartOptions,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess();
});
afterAll(() => sandbox.stop());

// Permissions mean nothing to root until that right is taken from it.
const withoutOverride: StartOptions =
  process.getuid?.() === 0 ? { wrapper: ["setpriv", "--bounding-set", "-dac_override", "--"] } : {};

function deploy(env: Readonly<Record<string, string>> = {}): Promise<Deployment> {
  return createDeployment({ store: "sqlite", postgresUrl: postgresUrl(), sandbox, env });
}

/** What a server that must not start says, without the lines of the log. */
async function refusal(deployment: Deployment, options: StartOptions = {}): Promise<string> {
  const error: unknown = await deployment.start(options).then(
    async (server) => {
      await server.kill9();
      throw new Error("It has started");
    },
    (error: unknown) => error,
  );
  const text = error instanceof Error ? error.message : String(error);
  expect(text).toContain("ended (exit code 1)");
  return text.slice(text.indexOf("stderr:\n") + "stderr:\n".length);
}

describe("SQLite", () => {
  test("several processes", async () => {
    await using deployment = await deploy({ APIFORGE_PROCESSES: "2" });
    const said = await refusal(deployment);
    checkReadable(said, "processes_need_postgres");
    expect(said).toContain("Set DATABASE_URL to a PostgreSQL, or APIFORGE_PROCESSES to 1.");
  });

  test("a second server on the same file names the first and what to do; the first goes on", async () => {
    await using deployment = await deploy();
    const first = await deployment.start();
    const said = await refusal(deployment);
    expect(said).toContain(
      `The database is in use by process ${first.pid}. Stop that process, set APIFORGE_DATA_DIR to another folder, or set DATABASE_URL`,
    );
    checkReadable(said, "store_locked");
    await using client = createHttpClient(first.url);
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
    await first.stop();
    await (await deployment.start()).stop();
  });

  test("a killed server's hold is over with it", async () => {
    await using deployment = await deploy();
    await (await deployment.start()).kill9();
    const next = await deployment.start();
    await using client = createHttpClient(next.url);
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
    await next.stop();
  });

  test("a data folder that cannot be written", async () => {
    await using deployment = await deploy();
    chmodSync(deployment.dataDir, 0o555);
    const said = await refusal(deployment, withoutOverride);
    checkReadable(said, "store_misconfigured");
    expect(said).toContain(`'${deployment.dataDir}'`);
    expect(said).toContain("set APIFORGE_DATA_DIR to another folder");
    chmodSync(deployment.dataDir, 0o755);
  });

  test("a data folder that cannot be made", async () => {
    await using deployment = await deploy();
    chmodSync(deployment.dataDir, 0o555);
    const env = { APIFORGE_DATA_DIR: join(deployment.dataDir, "new") };
    const said = await refusal(deployment, { ...withoutOverride, env });
    checkReadable(said, "store_misconfigured");
    expect(said).toContain(`'${env.APIFORGE_DATA_DIR}'`);
    chmodSync(deployment.dataDir, 0o755);
  });

  test("a database file that is read-only", async () => {
    await using deployment = await deploy();
    await (await deployment.start()).stop();
    chmodSync(deployment.database, 0o444);
    const said = await refusal(deployment, withoutOverride);
    checkReadable(said, "store_misconfigured");
    expect(said).toContain(`'${deployment.database}'`);
    chmodSync(deployment.database, 0o644);
    await (await deployment.start()).stop();
  });

  test("a file that is no database is left as it is", async () => {
    await using deployment = await deploy();
    const content = "not a database, ".repeat(1_000);
    writeFileSync(deployment.database, content);
    const said = await refusal(deployment);
    checkReadable(said, "store_misconfigured");
    expect(said).toContain("is not an SQLite database");
    expect(readFileSync(deployment.database, "utf8")).toBe(content);
  });
});

describe("PostgreSQL", () => {
  test("nothing listens", async () => {
    await using deployment = await deploy({ DATABASE_URL: "postgres://u:s3cret@127.0.0.1:1/db" });
    checkReadable(await refusal(deployment), "store_unavailable");
  });

  test("the password is wrong", async () => {
    const url = new URL(postgresUrl());
    url.password = "s3cret";
    await using deployment = await deploy({ DATABASE_URL: url.href });
    checkReadable(await refusal(deployment), "store_misconfigured");
  });

  test("there is no such database", async () => {
    const url = new URL(postgresUrl());
    url.pathname = "/no_such_database";
    await using deployment = await deploy({ DATABASE_URL: url.href });
    checkReadable(await refusal(deployment), "store_misconfigured");
  });
});

describe("configuration", () => {
  test("every setting that cannot be used is named at once, without its value", async () => {
    await using deployment = await deploy({
      DATABASE_URL: "mysql://u:s3cret@localhost/db",
      APIFORGE_TRANSACTION_LIMIT_MS: "soon",
      APIFORGE_SECRET: "s3cret",
    });
    const said = await refusal(deployment);
    checkReadable(said, "config_invalid");
    expect(said).toContain("DATABASE_URL must be a URL that starts with postgres://");
    expect(said).toContain("APIFORGE_TRANSACTION_LIMIT_MS must be a whole number from 50 to 60000");
    expect(said).toContain("APIFORGE_SECRET must be at least 32 characters long");
  });

  test("a port that is taken", async () => {
    await using deployment = await deploy();
    const first = await deployment.start();
    await using other = await deploy({ PORT: new URL(first.url).port });
    const said = await refusal(other);
    checkReadable(said, "address_unusable");
    expect(said).toContain(new URL(first.url).host);
    await first.stop();
  });
});

test("a port that is taken, for several processes", async () => {
  await using database = await createDatabase(postgresUrl());
  await using deployment = await deploy({ DATABASE_URL: database.url });
  const first = await deployment.start();
  const env = { PORT: new URL(first.url).port, APIFORGE_PROCESSES: "2" };
  const said = await refusal(deployment, { env });
  checkReadable(said, "address_unusable");
  await first.stop();
});

test("generated keys that cannot be kept", async () => {
  await using database = await createDatabase(postgresUrl());
  await using deployment = await deploy({ DATABASE_URL: database.url });
  chmodSync(deployment.dataDir, 0o555);
  const said = await refusal(deployment, withoutOverride);
  checkReadable(said, "data_dir_unusable");
  expect(said).toContain(deployment.dataDir);
  chmodSync(deployment.dataDir, 0o755);
});

test("a server that does not start leaves no process behind", async () => {
  await using deployment = await deploy();
  const first = await deployment.start();
  // Its own sandbox is started before the database is opened.
  const second = spawnProcess({
    entry: join(import.meta.dirname, "../../../../examples/server/src/main.ts"),
    env: { PORT: "0", APIFORGE_DATA_DIR: deployment.dataDir },
  });
  await expect(second.waitForLine(/never/)).rejects.toThrow("ended (exit code 1)");
  await first.stop();
});

/** One line for an operator: what happened, with the code to look up, and neither stack nor secret. */
function checkReadable(said: string, code: string): void {
  expect(said.trim()).toMatch(new RegExp(`^APIForge cannot start: .+ \\(${code}\\)$`));
  expect(said).not.toMatch(/\n\s+at |s3cret/);
}
