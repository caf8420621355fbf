import { z } from "zod";

import { exponential } from "../../resilience/index.ts";
import { defineJob, type JobDefinition } from "../definitions.ts";
import { chunkJobAttempts, chunkJobType } from "./chunk-jobs.ts";
import { ChunkRun, sliceMs, type ChunkParts } from "./chunk-run.ts";
import type { BatchDefinition } from "./definition.ts";

/** Beyond the longest item: for the commits of a chunk while the store is slow or away. */
const marginMs = 30_000;

/** Checks the stored input of a chunk's job. */
export const chunkJobInput = z.object({
  batchId: z.string(),
  position: z.number(),
  advances: z.boolean(),
});

/** The job type that runs the chunks of `definition`. */
export function chunkJob(definition: BatchDefinition, parts: ChunkParts): JobDefinition {
  return defineJob(chunkJobType(definition.name), {
    input: chunkJobInput,
    queue: definition.queue,
    attempts: chunkJobAttempts,
    backoff: exponential("500ms", { max: "30s" }),
    timeout: sliceMs + definition.timeoutMs + marginMs,
    run: (context) => new ChunkRun(definition, context, parts).run(),
  });
}
