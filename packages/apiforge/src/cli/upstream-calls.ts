import { parseArgs } from "node:util";

import { listUpstreamCalls, readConfig, type UpstreamCallRow } from "../app/index.ts";
import { silentLog } from "../kernel/index.ts";
import { table } from "./table.ts";

const mostCalls = 1_000;

/** `apiforge upstream-calls [--unknown] [--json]`: calls of upstreams under idempotency keys, oldest first. */
export async function upstreamCallsCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      unknown: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const filter = { standing: values.unknown ? "unknown" : "any", limit: mostCalls } as const;
  const calls = await listUpstreamCalls(readConfig(), filter, silentLog);
  if (values.json) console.log(JSON.stringify(calls.map(toJson), null, 2));
  else console.log(calls.length === 0 ? "none" : callTable(calls));
  return 0;
}

function toJson({ createdAt, ...call }: UpstreamCallRow): object {
  return { ...call, createdAt: new Date(createdAt).toISOString() };
}

function callTable(calls: readonly UpstreamCallRow[]): string {
  return table([
    ["SENT AS", "CALLER'S KEY", "OUTCOME", "SENT", "FIRST AT"],
    ...calls.map(({ upstreamKey, key, standing, times, createdAt }) => [
      upstreamKey,
      key,
      standing.replace("_", " "),
      times === 1 ? "once" : `${times} times`,
      new Date(createdAt).toISOString(),
    ]),
  ]);
}
