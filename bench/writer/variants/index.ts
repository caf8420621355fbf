import type { Writer } from "../writer.ts";
import { openMainAsync, type MainAsyncOptions } from "./main-async.ts";
import { openMainFull } from "./main-full.ts";
import { openWorkerFull } from "./worker-full.ts";

const sizes = {
  /** SQLite's own default: 4 MB of log. */
  checkpointPages: 1_000,
  /** 64 MB of log. */
  pausePages: 16_000,
};

/** The arrangements under test. */
export const variants: Readonly<Record<string, (path: string) => Writer | Promise<Writer>>> = {
  "main-full": (path) => openMainFull(path, sizes.checkpointPages),
  "worker-full": (path) => openWorkerFull(path, sizes.checkpointPages),
  "main-async": mainAsync({ overlap: false, maxSyncs: 1, checkpoint: "writer" }),
  "main-async-worker-ckpt": mainAsync({ overlap: false, maxSyncs: 1, checkpoint: "worker" }),
  "main-async-pause-ckpt": mainAsync({ overlap: false, maxSyncs: 1, checkpoint: "worker-pause" }),
  "main-async-no-ckpt": mainAsync({ overlap: false, maxSyncs: 1, checkpoint: "none" }),
  "main-async-overlap": mainAsync({ overlap: true, maxSyncs: 1, checkpoint: "worker-pause" }),
  "main-async-2-syncs": mainAsync({ overlap: true, maxSyncs: 2, checkpoint: "worker-pause" }),
};

function mainAsync(options: Pick<MainAsyncOptions, "overlap" | "maxSyncs" | "checkpoint">) {
  return (path: string) => openMainAsync(path, { ...sizes, ...options });
}
