import { z } from "zod";

/** One message of `POST /bulk-messages`. */
export const bulkMessage = z.object({
  to: z
    .string()
    .regex(/^\+[1-9]\d{6,14}$/, "must be a phone number in E.164, such as +15551230001"),
  // Twilio's limit, in UTF-16 units.
  body: z.string().min(1).max(1_600),
});

/** What the status of a job is called. */
export const jobStatus = z.enum(["QUEUED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED"]);
export type JobStatus = z.infer<typeof jobStatus>;

/** A job that was accepted. */
export const acceptedJob = z.object({
  jobId: z.string(),
  status: jobStatus,
  statusUrl: z.string(),
});

/** How far a job is. */
export const jobProgress = z.object({
  jobId: z.string(),
  status: jobStatus,
  total: z.number(),
  /** Messages that have ended: sent or failed. */
  processed: z.number(),
  /** Messages that Twilio refused, could not be asked to send, or took and could not deliver so far. */
  failed: z.number(),
  completedAt: z.iso.datetime().optional(),
});
export type JobProgress = z.infer<typeof jobProgress>;

/** {@link jobProgress} with the numbers of failed messages once the job has ended: the first 1,000. */
export const jobReport = jobProgress.extend({ failedNumbers: z.array(z.string()).optional() });

const failure = z.object({ code: z.string(), message: z.string() });

/** What became of one message. */
export const messageResult = z.object({
  /** Its place in the request, from 0. */
  index: z.number(),
  to: z.string(),
  status: z.enum(["pending", "succeeded", "failed", "cancelled"]),
  attempts: z.number(),
  /** Twilio's SID, once Twilio has taken the message. */
  sid: z.string().nullable(),
  error: failure.nullable(),
});
export type MessageResult = z.infer<typeof messageResult>;
