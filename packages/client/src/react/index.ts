/**
 * React hooks over the client: follow a job, submit once.
 * @module
 */
export { ClientProvider, useClient, type ClientProviderProps } from "./client-provider.ts";
export type { SubmissionState } from "./intents.ts";
export { useJob, type JobView } from "./use-job.ts";
export { useSubmit, type Submission, type SubmitOptions } from "./use-submit.ts";
