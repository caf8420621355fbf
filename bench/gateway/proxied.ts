import { chmodSync, mkdtempSync } from "node:fs";
import { join } from "node:path";

import { describeVersions } from "../measure/versions.ts";
import { contenders } from "./contenders.ts";
import { programVersion } from "./program-version.ts";
import { startProgram, type Program } from "./program.ts";

const proxyCore = 0;
/** The load and the upstream share it: what they leave of it is not what is measured. */
export const loadCore = 1;
/** The workers of nginx are of another user. */
const sharedMode = 0o755;

/** A proxy that serves, and the folder that is its own. */
export interface Proxied {
  readonly target: Program;
  readonly own: string;
}

/** A folder below `parent` that the workers of nginx can read too. */
export function sharedFolder(parent: string, name: string): string {
  const folder = mkdtempSync(join(parent, `${name}-`));
  chmodSync(folder, sharedMode);
  return folder;
}

/** Starts the contender of that name in front of `upstream`. @throws {Error} where there is none. */
export async function startContender(
  name: string,
  upstream: Program,
  folder: string,
): Promise<Proxied> {
  const contender = contenders.get(name);
  if (contender === undefined) throw new Error(`There is no target ${name}`);
  const own = sharedFolder(folder, name);
  const { host } = new URL(upstream.url);
  const target = await startProgram(proxyCore, name, own, (port) =>
    contender({ port, upstream: host, folder: own }),
  );
  return { target, own };
}

/** Of the programs and packages that were measured. */
export function versionsOf(names: readonly string[]): object {
  return {
    ...describeVersions(["undici", "fastify", "@fastify/http-proxy", "http-proxy"]),
    ...Object.fromEntries(names.map(programVersion).filter(({ length }) => length > 0)),
  };
}
