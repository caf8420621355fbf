import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { createHttpClient } from "@apiforge/testing";
import { expect, onTestFinished, test } from "vitest";

const packageDir = fileURLToPath(new URL("..", import.meta.url));
const root = join(packageDir, "../..");
const app = join(root, "examples/orders/src/main.ts");

/** Prints every module that was loaded, when the process ends. */
const probe = `
import { registerHooks } from "node:module";
const loaded = [];
registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
process.on("exit", () => console.log("LOADED " + loaded.join(" ")));
`;

function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

// The registry is asked for the package's own dependencies, as a stranger's npm would.
test(
  "the packed package runs the README's app in an empty folder, without pg, kysely or any provider's SDK",
  { timeout: 180_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "apiforge-package-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    rmSync(join(packageDir, "dist"), { recursive: true, force: true });
    run(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
      packageDir,
    );
    run("npm", ["pack", "--silent", "--pack-destination", folder], packageDir);
    const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "no tarball";
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    run("npm", ["install", "--silent", "--no-audit", "--no-fund", `./${tarball}`, "zod"], folder);
    copyFileSync(app, join(folder, "main.ts"));
    writeFileSync(join(folder, "probe.mjs"), probe);
    writeFileSync(join(folder, "start.mjs"), `import "./probe.mjs";\nawait import("./main.ts");\n`);

    const installed = run("npm", ["ls", "--all", "--parseable", "--omit=dev"], folder);
    expect(installed).not.toMatch(
      /node_modules\/(?:pg|kysely|@slack|stripe|twilio|@aws-sdk|octokit|react)$/m,
    );

    const server = spawn(process.execPath, ["start.mjs"], {
      cwd: folder,
      env: { PATH: process.env["PATH"], PORT: "0", APIFORGE_DATA_DIR: join(folder, "data") },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void server.kill("SIGKILL"));
    const lines: string[] = [];
    const { promise: ready, resolve } = Promise.withResolvers<string>();
    createInterface({ input: server.stdout }).on("line", (line) => {
      lines.push(line);
      const url = /APIForge ready on (http:\/\/\S+)/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
    await using client = createHttpClient(await ready);
    const answer = await client.request({ method: "POST", path: "/orders", body: { cents: 1 } });
    expect(answer.status).toBe(401);
    expect((await client.request({ path: "/health/ready" })).status).toBe(200);
    server.kill("SIGTERM");
    await once(server, "close");
    expect(server.exitCode).toBe(0);
    const loaded = lines.find((line) => line.startsWith("LOADED "));
    expect(loaded).toContain("node_modules/apiforge/dist/store/sqlite/store.js");
    expect(loaded).not.toMatch(
      /node_modules\/(?:pg|kysely|@slack|stripe|twilio|@aws-sdk|octokit|react)\//,
    );
    expect(loaded).not.toContain("apiforge/dist/store/postgres/");
  },
);
