import { mkdirSync, watch, type FSWatcher } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

import type { Durable } from "../durable/index.ts";
import type { Purge, PurgeLog } from "../gateway/index.ts";
import { newId, type Log } from "../kernel/index.ts";

/** What is to be purged from the caches of a name. */
export interface PurgeRequest {
  readonly cache: string;
  readonly purges: readonly Purge[];
}

const purge = z.union([
  z.strictObject({ tag: z.string() }),
  z.strictObject({ prefix: z.string() }),
  z.strictObject({ all: z.literal(true) }),
]);
const request = z.strictObject({ cache: z.string(), purges: z.array(purge) });

/** Whoever may write there may purge. */
const ownerOnly = 0o700;
const ending = ".json";
/** Of the commits. */
const actor = { tenant: "system", requestId: "purge-requests" };

function folderIn(dataDir: string): string {
  return join(dataDir, "purge-requests");
}

/**
 * Leaves a request for the process that owns an embedded store: no other one may write there. Answers the path of a file
 * that is gone when it is done.
 */
export async function leaveRequest(dataDir: string, left: PurgeRequest): Promise<string> {
  const folder = folderIn(dataDir);
  await mkdir(folder, { recursive: true, mode: ownerOnly });
  const path = join(folder, `${newId("prg")}${ending}`);
  // Nobody reads half of it.
  const unfinished = `${path}.part`;
  await writeFile(unfinished, JSON.stringify(left));
  await rename(unfinished, path);
  return path;
}

/** What a {@link PurgeRequests} works with. */
export interface PurgeRequestParts {
  readonly dataDir: string;
  readonly durable: Pick<Durable, "transact">;
  readonly log: Log;
  readonly purges: Pick<PurgeLog, "purge">;
}

/** Does what {@link leaveRequest} leaves, one after the other, each in a commit. */
export class PurgeRequests {
  readonly #parts: PurgeRequestParts;
  readonly #folder: string;
  #watcher: FSWatcher | undefined;
  #taking: Promise<void> = Promise.resolve();

  constructor(parts: PurgeRequestParts) {
    this.#parts = parts;
    this.#folder = folderIn(parts.dataDir);
  }

  /** Takes requests as they come from now on, and those that are there: resolves when these are done. */
  async open(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true, mode: ownerOnly });
    this.#watcher = watch(this.#folder, { persistent: false }, () => void this.#take());
    // A folder that is gone gets no more requests.
    this.#watcher.on("error", () => this.#watcher?.close());
    await this.#take();
  }

  /** Takes no more; resolves when what was taken is done. */
  async close(): Promise<void> {
    this.#watcher?.close();
    this.#watcher = undefined;
    await this.#taking;
  }

  #take(): Promise<void> {
    this.#taking = this.#taking.then(() => this.#takeAll());
    return this.#taking;
  }

  async #takeAll(): Promise<void> {
    try {
      const names = await readdir(this.#folder);
      for (const name of names.filter((each) => each.endsWith(ending)).toSorted()) {
        await this.#do(join(this.#folder, name));
      }
    } catch (err) {
      this.#parts.log.warn({ err }, "what was asked to be purged from caches is not purged yet");
    }
  }

  async #do(path: string): Promise<void> {
    const { durable, purges, log } = this.#parts;
    const read = request.safeParse(jsonOf(await readFile(path, "utf8")));
    if (!read.success) {
      log.warn({ path }, "a file beside the requests to purge caches is none, and is removed");
    } else {
      const { cache, purges: asked } = read.data;
      await durable.transact("purge caches", actor, (tx) => purges.purge(tx, cache, asked));
    }
    await rm(path, { force: true });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
