import type { BatchDefinition } from "../../durable/index.ts";
import type { Schema, SchemaInput } from "../../schema/index.ts";

const defaultMaxBodyBytes = 512 * 1_048_576;

/**
 * A body of many items, taken in as it arrives: JSON with one array, or one item a line
 * (`application/x-ndjson`). Made by {@link batchBody}. `Input` is what a caller sends as JSON.
 */
export class BatchBody<Input = unknown> {
  /** Only a type. */
  declare readonly input: Input;
  readonly definition: BatchDefinition;
  readonly field: string;
  readonly maxBodyBytes: number;

  constructor(definition: BatchDefinition, field: string, maxBodyBytes: number) {
    this.definition = definition;
    this.field = field;
    this.maxBodyBytes = maxBodyBytes;
  }
}

/** Options of {@link batchBody}. */
export interface BatchBodyOptions<Field extends string> {
  /** The field of a JSON body that holds the items: `{"messages":[…]}`. Also what they are called in refusals. */
  readonly field: Field;
  /** Default 512 MiB, which is never in memory. */
  readonly maxBodyBytes?: number;
}

/**
 * Declares that a writing route takes the items of a batch. Each item is checked and stored while
 * the next ones arrive; the handler then gets them as a staged batch, which
 * `tx.batches.start(body)` accepts in its commit:
 *
 * ```ts
 * defineRoute({
 *   method: "POST",
 *   path: "/bulk-messages",
 *   body: batchBody(bulkMessages, { field: "messages" }),
 *   replies: { 202: accepted },
 *   handler: async ({ body, tx, principal }) => {
 *     const batch = await tx.batches.start(body, { owner: principal.subject });
 *     return { status: 202, body: { jobId: batch.id, status: "QUEUED" } };
 *   },
 * });
 * ```
 *
 * An invalid item is answered with 400 and its index, one more than the batch's `maxItems` with 400
 * `Max 1,000,000 messages per job`; nothing of a refused or broken body stays.
 */
export function batchBody<Item extends Schema, const Field extends string>(
  definition: BatchDefinition<Item>,
  options: BatchBodyOptions<Field>,
): BatchBody<{ readonly [_ in Field]: readonly SchemaInput<Item>[] }> {
  return new BatchBody(definition, options.field, options.maxBodyBytes ?? defaultMaxBodyBytes);
}
