import {
  batchBody,
  defineRoute,
  eventStreamReply,
  listQuery,
  ndjsonReply,
  pageOf,
  type BatchDefinition,
  type BatchItem,
  type BatchRecord,
  type ServerSentEvent,
} from "apiforge";

import { progressOf, reportOf, requireJob, resultOf } from "./jobs.ts";
import {
  acceptedJob,
  jobProgress,
  jobReport,
  messageResult,
  type bulkMessage,
  type JobProgress,
  type MessageResult,
} from "./schema.ts";

const tags = ["bulk messages"];

/** The routes of the bulk messages; `messages` is the type of batch that they accept. */
export function bulkMessageRoutes(messages: BatchDefinition<typeof bulkMessage>) {
  return [submitRoute(messages), statusRoute, itemsRoute, resultsRoute, eventsRoute, cancelRoute];
}

function submitRoute(messages: BatchDefinition<typeof bulkMessage>) {
  return defineRoute({
    method: "POST",
    path: "/bulk-messages",
    summary: "Send up to 1,000,000 text messages",
    tags,
    body: batchBody(messages, { field: "messages" }),
    replies: { 202: acceptedJob },
    handler: async ({ body, principal, tx }) => {
      const { id } = await tx.batches.start(body, { owner: principal.subject });
      const statusUrl = `/bulk-messages/${id}/status`;
      return { status: 202, body: { jobId: id, status: "QUEUED", statusUrl } };
    },
  });
}

const statusRoute = defineRoute({
  method: "GET",
  path: "/bulk-messages/:id/status",
  summary: "How far a job is",
  tags,
  replies: { 200: jobReport },
  handler: async ({ params, principal, tx }) => {
    const batch = await requireJob(tx, principal, params.id);
    return { status: 200, body: await reportOf(tx, batch) };
  },
});

const itemsRoute = defineRoute({
  method: "GET",
  path: "/bulk-messages/:id/items",
  summary: "The messages of a job with what became of them",
  tags,
  query: listQuery({ status: messageResult.shape.status.optional() }),
  replies: { 200: pageOf(messageResult) },
  handler: async ({ params, query, principal, tx, list }) => {
    const { id } = await requireJob(tx, principal, params.id);
    const { status, limit } = query;
    const after = list.position<{ index: number }>()?.index;
    const items = await tx.batches.items(id, { status, after, limit: limit + 1 });
    const page = list.page(items.map(resultOf), limit, (last) => ({ index: last.index }));
    return { status: 200, body: page };
  },
});

const resultsRoute = defineRoute({
  method: "GET",
  path: "/bulk-messages/:id/results",
  summary: "Every message of a job with what became of it, one a line",
  tags,
  replies: { 200: ndjsonReply(messageResult) },
  handler: async ({ params, principal, tx, batches }) => {
    const { id } = await requireJob(tx, principal, params.id);
    return { status: 200, stream: resultLines(batches.results(id)) };
  },
});

async function* resultLines(items: AsyncIterable<BatchItem>): AsyncGenerator<MessageResult> {
  for await (const item of items) yield resultOf(item);
}

const eventsRoute = defineRoute({
  method: "GET",
  path: "/bulk-messages/:id/events",
  summary: "The progress of a job as it happens",
  tags,
  replies: { 200: eventStreamReply(jobProgress) },
  handler: async ({ params, principal, tx, batches, request }) => {
    const { id } = await requireJob(tx, principal, params.id);
    return { status: 200, stream: progressEvents(batches.progress(id, request.signal)) };
  },
});

async function* progressEvents(
  states: AsyncIterable<BatchRecord>,
): AsyncGenerator<ServerSentEvent<JobProgress>> {
  for await (const batch of states) {
    const event = batch.finishedAt === null ? "progress" : "completed";
    yield { event, data: progressOf(batch) };
  }
}

const cancelRoute = defineRoute({
  method: "POST",
  path: "/bulk-messages/:id/cancel",
  summary: "Send nothing further of a job",
  tags,
  replies: { 200: jobReport },
  handler: async ({ params, principal, tx }) => {
    const job = await requireJob(tx, principal, params.id);
    const batch = (await tx.batches.cancel(job.id)) ?? job;
    return { status: 200, body: await reportOf(tx, batch) };
  },
});
