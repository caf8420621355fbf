import { parseArgs } from "node:util";

import { everyCache, purgeCaches, readConfig, type Purge } from "../app/index.ts";
import { silentLog } from "../kernel/index.ts";

const usage = `Usage: apiforge purge TAG… [--prefix /path] [--all] [--cache name]`;
const waitMs = 10_000;

/**
 * `apiforge purge TAG…`: stored answers of these tags, of paths that begin with a prefix, or all, are given no more by
 * any server on the store that the environment names; 1 when no server has done so.
 */
export async function purgeCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      prefix: { type: "string", multiple: true, default: [] },
      all: { type: "boolean", default: false },
      cache: { type: "string", default: everyCache },
    },
    allowPositionals: true,
  });
  const purges: readonly Purge[] = [
    ...positionals.map((tag) => ({ tag })),
    ...values.prefix.map((prefix) => ({ prefix })),
    ...(values.all ? [{ all: true } as const] : []),
  ];
  const isSound = values.prefix.every((prefix) => prefix.startsWith("/"));
  if (purges.length === 0 || !isSound) throw new Error(usage);
  const request = { cache: values.cache, purges };
  const isDone = await purgeCaches(readConfig(), request, { log: silentLog, waitMs });
  const whose = values.cache === everyCache ? "every cache" : `the cache ${values.cache}`;
  if (isDone) console.log(`Purged from ${whose}.`);
  else console.error(`No server has purged it. The next one with ${whose} does before it serves.`);
  return isDone ? 0 : 1;
}
