import { useCallback, useEffect, useState } from "react";

import { ApiError } from "../api-error.ts";
import type { UrlClient } from "../client.ts";
import { besideStatus, hasEnded, type JobStatus } from "../job.ts";
import { useClient } from "./client-provider.ts";

/** What is known of a job. */
export interface JobView<Job extends JobStatus> {
  /** Its last known status; undefined before the first. */
  readonly job: Job | undefined;
  /** Share of the items that are done, 0 to 1; undefined while the total is unknown. */
  readonly progress: number | undefined;
  /** Nothing of it will change any more. */
  readonly isEnded: boolean;
  /**
   * Why nothing new is heard. Without {@link isRefused} the watch goes on and this goes away with
   * the next news.
   */
  readonly error: ApiError | undefined;
  /** The server refuses to tell about the job; the watch is over. */
  readonly isRefused: boolean;
  /** Asks the server to cancel the job; resolves when it has agreed, else rejects with an `ApiError`. */
  readonly cancel: () => Promise<void>;
}

interface News<Job> {
  readonly statusUrl: string;
  readonly job?: Job | undefined;
  readonly error?: ApiError;
  readonly isRefused?: boolean;
}

/**
 * Follows the job at `statusUrl`, an answer's word, until it has ended or the component is gone. An
 * undefined `statusUrl` follows nothing yet.
 */
export function useJob<Job extends JobStatus = JobStatus>(
  statusUrl: string | undefined,
): JobView<Job> {
  const client = useClient();
  const [round, setRound] = useState(0);
  const [news, setNews] = useState<News<Job>>();
  useEffect(() => {
    if (statusUrl === undefined) return undefined;
    const watch = new AbortController();
    void follow<Job>(client, statusUrl, watch.signal, setNews);
    return () => watch.abort();
  }, [client, statusUrl, round]);

  const cancel = useCallback(async () => {
    if (statusUrl === undefined) return;
    await client.request("POST", besideStatus(statusUrl, "cancel"));
    // Watching anew tells the outcome at once.
    setRound((before) => before + 1);
  }, [client, statusUrl]);

  // News of the job before belong to nobody any more.
  const { job, error, isRefused = false } = news?.statusUrl === statusUrl ? { ...news } : {};
  return {
    job,
    progress: progressOf(job),
    isEnded: job !== undefined && hasEnded(job),
    error,
    isRefused,
    cancel,
  };
}

async function follow<Job extends JobStatus>(
  client: UrlClient,
  statusUrl: string,
  signal: AbortSignal,
  tell: (change: (before: News<Job> | undefined) => News<Job>) => void,
): Promise<void> {
  function fail(error: ApiError, isRefused: boolean): void {
    if (signal.aborted) return;
    tell((before) => {
      const job = before?.statusUrl === statusUrl ? before.job : undefined;
      return { statusUrl, job, error, isRefused };
    });
  }
  try {
    const options = { signal, onTrouble: (error: ApiError) => fail(error, false) };
    for await (const job of client.watch<Job>(statusUrl, options)) {
      if (signal.aborted) return;
      tell(() => ({ statusUrl, job }));
    }
  } catch (error) {
    if (error instanceof ApiError) fail(error, true);
    else if (!signal.aborted) throw error;
  }
}

function progressOf(job: JobStatus | undefined): number | undefined {
  if (job?.total === undefined || job.processed === undefined) return undefined;
  return job.total === 0 ? 1 : Math.min(1, job.processed / job.total);
}
