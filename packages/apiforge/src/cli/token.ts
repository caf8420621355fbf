import { parseArgs } from "node:util";

import { openDevIssuer, readConfig } from "../app/index.ts";
import { durationMs, silentLog, type Duration } from "../kernel/index.ts";

const usage = `Usage: npm run -s token -- --sub usr_9f3k2m --email priya@apiforge.dev --tenant ten_apiforge --role admin [--scope a,b] [--ttl 15m]

Prints a token of the development issuer, which a server on the same APIFORGE_DATA_DIR accepts.
--sub is required; --tenant defaults to ten_apiforge; --role is one of admin (default), member, scheduling_agent, driver, rider.`;

const roles: readonly string[] = ["admin", "member", "scheduling_agent", "driver", "rider"];

interface TokenRequest {
  readonly sub: string;
  readonly tenant: string;
  readonly role: string;
  readonly email: string | undefined;
  readonly scopes: readonly string[];
  readonly ttl: Duration;
}

function readArguments(args: readonly string[]): TokenRequest {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sub: { type: "string" },
      tenant: { type: "string", default: "ten_apiforge" },
      role: { type: "string", default: "admin" },
      email: { type: "string" },
      scope: { type: "string" },
      ttl: { type: "string", default: "15m" },
    },
  });
  const { sub, tenant, role, email, scope, ttl } = values;
  if (sub === undefined || sub === "") throw new Error("--sub is missing");
  if (!roles.includes(role)) throw new Error(`--role must be one of ${roles.join(", ")}`);
  const ttlMs = durationMs(ttl as Duration);
  if (ttlMs === 0) throw new Error("--ttl must be above 0");
  return { sub, tenant, role, email, scopes: scope?.split(",").filter(Boolean) ?? [], ttl: ttlMs };
}

async function sign(request: TokenRequest): Promise<string> {
  const issuer = await openDevIssuer(readConfig(), silentLog);
  const { sub, email, ...rest } = request;
  return issuer.sign({ subject: sub, ...rest, ...(email === undefined ? {} : { email }) });
}

try {
  console.log(await sign(readArguments(process.argv.slice(2))));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 2;
}
