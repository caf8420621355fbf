import type { Migration } from "../contract.ts";

/** The span that a job was enqueued in, as a `traceparent`; null where none was recorded. */
export const jobTrace: Migration = {
  name: "apiforge-0017-job-trace",
  sqlite: `
    alter table forge_jobs add column traceparent text;
    alter table forge_job_packs add column traceparent text;
  `,
  postgres: `
    alter table forge_jobs add column traceparent text;
    alter table forge_job_packs add column traceparent text;
  `,
};
