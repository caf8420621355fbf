import { z } from "zod";

import {
  defineBatch,
  type BatchDefinition,
  type BatchItem,
  type BatchOptions,
  type Durable,
} from "../../src/durable/index.ts";
import type { BatchRecord } from "../../src/store/index.ts";
import { actor } from "./harness.ts";

/** What an item of the tests' batches is. */
export const message = z.object({ to: z.string().min(1), body: z.string() });
export type Message = z.infer<typeof message>;

/** A batch of messages in chunks of 10 that succeed with their receiver, with the given differences. */
export function messages(
  differences: Partial<BatchOptions<typeof message>> = {},
): BatchDefinition<typeof message> {
  return defineBatch("messages", {
    item: message,
    run: async ({ item }) => ({ sent: item.to }),
    chunkItems: 10,
    ...differences,
  });
}

/** `count` messages, to `to0`, `to1`, … */
export function someMessages(count: number): Message[] {
  return Array.from({ length: count }, (_, index) => ({ to: `to${index}`, body: "hello" }));
}

/** Accepts a batch and answers its id. */
export async function submit(
  durable: Durable,
  definition: BatchDefinition<typeof message>,
  items: Iterable<Message> | AsyncIterable<Message>,
): Promise<string> {
  const staged = await durable.batches.stage(definition, items, actor);
  const batch = await durable.transact("submit", actor, (tx) =>
    tx.batches.start(staged, { owner: "usr_1" }),
  );
  return batch.id;
}

/** The batch as it is on disk. */
export async function batchOf(durable: Durable, id: string): Promise<BatchRecord> {
  const batch = await durable.batches.find(id);
  if (batch === undefined) throw new Error(`There is no batch ${id}`);
  return batch;
}

/** Every item of a batch. */
export async function allItems(durable: Durable, id: string): Promise<BatchItem[]> {
  const items: BatchItem[] = [];
  for await (const item of durable.batches.results(id)) items.push(item);
  return items;
}

/** How many items have each status. */
export function tally(items: readonly BatchItem[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of items) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
