import { defineRoute, newId, notFound, type System } from "apiforge";
import { z } from "zod";

/** A job of the stand-in; the test moves it. */
export interface BulkJob {
  readonly jobId: string;
  status: "QUEUED" | "IN_PROGRESS" | "COMPLETED" | "FAILED" | "CANCELED";
  readonly total: number;
  processed: number;
  failed: number;
  failedNumbers?: string[];
}

const jobSchema = z.object({
  jobId: z.string(),
  status: z.enum(["QUEUED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED"]),
  total: z.number(),
  processed: z.number(),
  failed: z.number(),
  failedNumbers: z.array(z.string()).optional(),
});

const message = z.object({ to: z.string().regex(/^\+\d{11}$/), body: z.string().min(1) });

/** The routes that the page calls, over jobs that stand still until the test moves them. */
export function bulkMessages(jobs: BulkJob[]): System {
  function jobOf(id: string): BulkJob {
    const job = jobs.find(({ jobId }) => jobId === id);
    if (job === undefined) throw notFound("No job has this id.");
    return job;
  }
  const submit = defineRoute({
    method: "POST",
    path: "/bulk-messages",
    body: z.object({ messages: z.array(message) }),
    replies: { 202: z.object({ jobId: z.string(), status: z.string(), statusUrl: z.string() }) },
    handler: ({ body }) => {
      const jobId = newId("bat");
      const total = body.messages.length;
      jobs.push({ jobId, status: "QUEUED", total, processed: 0, failed: 0 });
      const statusUrl = `/bulk-messages/${jobId}/status`;
      return { status: 202, body: { jobId, status: "QUEUED", statusUrl } };
    },
  });
  const status = defineRoute({
    method: "GET",
    path: "/bulk-messages/:id/status",
    replies: { 200: jobSchema },
    handler: ({ params }) => ({ status: 200, body: jobOf(params.id) }),
  });
  const cancel = defineRoute({
    method: "POST",
    path: "/bulk-messages/:id/cancel",
    replies: { 200: jobSchema },
    handler: ({ params }) => {
      const job = jobOf(params.id);
      job.status = "CANCELED";
      return { status: 200, body: job };
    },
  });
  return { routes: [submit, status, cancel] };
}
