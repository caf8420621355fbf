import { watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";

import { systemClock, type Clock, type Timer } from "../../kernel/index.ts";
import type { Gateway } from "./gateway.ts";
import { loadConfigFile } from "./load.ts";
import type { Change } from "./revision.ts";

/** A save is several events, and a module may be half written at the first. */
const settleMs = 100;

/** Options of {@link followFile}. */
export interface FollowOptions {
  /** The files that were read at the start. */
  readonly files: readonly string[];
  /** Told of each change but those that change nothing. */
  readonly onChange?: (change: Change) => void;
  readonly clock?: Clock;
}

/** A gateway that does what its file says. */
export interface FollowedFile {
  /** Looks at the file now. */
  reload(): Promise<Change>;
  /** Looks no more. */
  stop(): void;
}

/**
 * Changes `gateway` when its configuration file at `path`, or one that it imports by a relative path,
 * changes. Folders are watched, not files: editors and deployments put another file in a file's place.
 */
export function followFile(gateway: Gateway, path: string, options: FollowOptions): FollowedFile {
  const { onChange, clock = systemClock } = options;
  const watchers = new Map<string, FSWatcher>();
  let timer: Timer | undefined;
  let isStopped = false;

  async function reload(): Promise<Change> {
    const { value, digest, files, problems } = await loadConfigFile(path);
    watchAll(files);
    const change = await (problems.length > 0
      ? gateway.refuse(problems)
      : gateway.change(value, digest));
    if (change.outcome !== "unchanged") onChange?.(change);
    return change;
  }

  function touched(): void {
    timer?.cancel();
    timer = clock.after(settleMs, () => void reload());
  }

  function watchAll(files: readonly string[]): void {
    if (isStopped) return;
    for (const folder of new Set(files.map((file) => dirname(file)))) {
      if (watchers.has(folder)) continue;
      const watcher = watch(folder, touched);
      // A folder that is gone changes no more; a signal still reloads.
      watcher.on("error", () => watcher.close());
      watchers.set(folder, watcher);
    }
  }

  watchAll(options.files);
  return {
    reload,
    stop() {
      isStopped = true;
      timer?.cancel();
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}
