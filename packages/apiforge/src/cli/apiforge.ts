#!/usr/bin/env node
import { checkCommand } from "./check.ts";
import { explainCommand } from "./explain.ts";
import { purgeCommand } from "./purge.ts";
import { routesCommand } from "./routes.ts";
import { settleCommand } from "./settle.ts";
import { startCommand } from "./start.ts";
import { upstreamCallsCommand } from "./upstream-calls.ts";

const usage = `Usage: apiforge <command> [options]

  start     serves the gateway of a configuration file
  check     checks the whole configuration; exit code 1 when something is wrong
  routes    shows the route table
  explain   METHOD PATH: which stages a request passes, and which would refuse it
  purge     TAG…: takes stored answers out of the caches of all servers on the store of this environment

  upstream-calls [--unknown] [--json]: calls of upstreams under idempotency keys
  settle    KEY --answer STATUS [--body FILE] [--content-type TYPE], or KEY --nothing-done:
            ends a call whose outcome is unknown, as it was found to be

Options of check, routes and explain:
  --json            the same for programs
Options of explain:
  --token <token>, --header "Name: value", --body <json>: of the request
Options of start:
  --processes <n>   that serve together, on PostgreSQL; default APIFORGE_PROCESSES, else 1
Options of purge:
  --prefix <path>, --all: besides or instead of tags; --cache <name>: only of that one
Options of start, check, routes and explain:
  --config <file>   default apiforge.config.ts, .js, .mjs or .json in this folder`;

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<number | undefined>>> =
  {
    start: startCommand,
    check: checkCommand,
    routes: routesCommand,
    explain: explainCommand,
    purge: purgeCommand,
    "upstream-calls": upstreamCallsCommand,
    settle: settleCommand,
  };

const [name = "help", ...args] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) {
  const isAsked = ["help", "--help", "-h"].includes(name);
  console[isAsked ? "log" : "error"](isAsked ? usage : `There is no command ${name}\n\n${usage}`);
  process.exitCode = isAsked ? 0 : 2;
} else {
  try {
    // A server goes on when its command has ended.
    const exitCode = await command(args);
    if (exitCode !== undefined) process.exitCode = exitCode;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 2;
  }
}
