import { existsSync, readFileSync } from "node:fs";

import type { Program } from "./program.ts";
import { origin, tokenFile } from "./settings.ts";
import type { Body } from "./upstream.ts";

const answerMs = 10_000;

/** What every request to the target in `own` carries; one that asks for tokens has left one there. */
export function headersOf(own: string): Readonly<Record<string, string>> {
  const accept = { Accept: "application/json", "User-Agent": "bench/1.0" };
  const file = tokenFile(own);
  if (!existsSync(file)) return accept;
  return { ...accept, Origin: origin, Authorization: `Bearer ${readFileSync(file, "utf8")}` };
}

/** Throws unless the target passes on all of the body. */
export async function requireBody(
  { url }: Program,
  { path, bytes }: Body,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(answerMs) });
  const { byteLength } = await answer.arrayBuffer();
  if (answer.status !== 200 || byteLength !== bytes) {
    throw new Error(`${url}${path} answers ${answer.status} with ${byteLength} bytes`);
  }
}
