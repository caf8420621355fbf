import { z } from "zod";

import { defineBatch, type BatchDefinition } from "../../src/durable/index.ts";
import {
  batchBody,
  defineRoute,
  eventStreamReply,
  forbidden,
  ndjsonReply,
  notFound,
  type Route,
} from "../../src/edge/index.ts";
import type { BatchRecord } from "../../src/store/index.ts";

const message = z.object({ to: z.string().min(1), body: z.string() });
const status = z.object({
  id: z.string(),
  status: z.string(),
  total: z.number(),
  processed: z.number(),
  failed: z.number(),
});
const line = z.object({ index: z.number(), to: z.string(), status: z.string() });

/** Messages of which those to `bad…` fail, in chunks of 10. */
export function bulkMessages(
  run: (to: string) => Promise<unknown> = send,
): BatchDefinition<typeof message> {
  return defineBatch("bulk-messages", {
    item: message,
    run: ({ item }) => run(item.to),
    attempts: 1,
    chunkItems: 10,
    maxItems: 1_200,
  });
}

async function send(to: string): Promise<unknown> {
  if (to.startsWith("bad")) throw new Error(`No such number: ${to}`);
  return { to };
}

/** Routes that take in, show and stream batches of `definition`. */
export function bulkRoutes(
  definition: BatchDefinition,
  idempotency: Route["idempotency"] = "optional",
): readonly Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/bulk",
      body: batchBody(definition, { field: "messages", maxBodyBytes: 400_000 }),
      idempotency,
      replies: { 202: status },
      handler: async ({ body, tx, principal }) => {
        const batch = await tx.batches.start(body, { owner: principal.subject });
        return { status: 202, body: shown(batch) };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/bulk/:id/status",
      replies: { 200: status },
      handler: async ({ params, tx, principal }) => {
        const batch = await tx.batches.find(params.id);
        if (batch === undefined) throw notFound();
        if (batch.owner !== principal.subject) throw forbidden();
        return { status: 200, body: shown(batch) };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/bulk/:id/results",
      replies: { 200: ndjsonReply(line), 404: z.object({ missing: z.string() }) },
      handler: async ({ params, tx, batches }) => {
        if ((await tx.batches.find(params.id)) === undefined) {
          return { status: 404, body: { missing: params.id } };
        }
        return { status: 200, stream: lines(batches.results(params.id)) };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/bulk/:id/events",
      replies: { 200: eventStreamReply(status) },
      handler: ({ params, batches, request }) => ({
        status: 200,
        stream: events(batches.progress(params.id, request.signal)),
      }),
    }),
    defineRoute({
      method: "POST",
      path: "/bulk/:id/cancel",
      replies: { 200: status },
      handler: async ({ params, tx }) => {
        const batch = await tx.batches.cancel(params.id);
        if (batch === undefined) throw notFound();
        return { status: 200, body: shown(batch) };
      },
    }),
  ];
}

async function* lines(items: AsyncIterable<{ index: number; item: unknown; status: string }>) {
  for await (const { index, item, status } of items) {
    // The batch's items were checked when they came in.
    yield { index, to: (item as z.infer<typeof message>).to, status };
  }
}

async function* events(progress: AsyncIterable<BatchRecord>) {
  for await (const batch of progress) yield { event: "progress", data: shown(batch) };
}

function shown({ id, state, total, succeeded, failed }: BatchRecord) {
  return { id, status: state, total, processed: succeeded + failed, failed };
}
