import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { defineRoute, textReply } from "apiforge";

import { suiteFolder } from "./folder.ts";
import type { SuiteScore } from "./score.ts";
import { serve } from "./serve.ts";

const reply = { 200: textReply("text/plain") };

/** h1spec asks for a server that answers every method with the body that it got. */
const routes = [
  defineRoute({
    method: "GET",
    path: "/",
    auth: "none",
    replies: reply,
    handler: () => ({ status: 200, body: "" }),
  }),
  defineRoute({
    method: "POST",
    path: "/",
    auth: "none",
    body: "bytes",
    replies: reply,
    handler: ({ body }) => ({ status: 200, body: body.toString() }),
  }),
];

/** The program of h1spec as it is, on Node.js, against our server. */
export async function runH1spec(): Promise<SuiteScore> {
  const folder = suiteFolder("h1spec", "github.com/uNetworking/h1spec");
  await using server = await serve(routes);
  const { hostname, port } = new URL(server.url);
  const lines = await linesOf(join(folder, "http_test.ts"), [hostname, port]);
  const total = lines.filter((line) => /^[✅❌]/u.test(line)).length;
  const failures = lines.filter((line) => line.startsWith("❌")).map((line) => line.slice(2));
  if (total === 0) throw new Error(`h1spec printed no result: ${lines.join("\n")}`);
  return { suite: "h1spec", total, failures };
}

async function linesOf(program: string, args: readonly string[]): Promise<readonly string[]> {
  const deno = import.meta.resolve("./deno.ts");
  const child = spawn(process.execPath, ["--import", deno, program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = await Promise.all([text(child.stdout), text(child.stderr)]);
  return output.flatMap((printed) => printed.split("\n"));
}
