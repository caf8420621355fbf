import { parentPort, workerData } from "node:worker_threads";

import type { QueryResult, SqlValue } from "../contract.ts";
import { openReader } from "./connection.ts";

/** One statement, or the begin or end of a snapshot. */
export interface ReadRequest {
  readonly id: number;
  readonly text: string;
  readonly values: readonly SqlValue[];
  /** Whose rows of tenant tables it sees. */
  readonly tenant: string | undefined;
}

/** What came of it. Errors lose their class on the way, so the facts of SQLite's travel as data. */
export type ReadResponse = {
  readonly id: number;
  readonly elapsedMs: number;
} & (
  | { readonly result: QueryResult }
  | { readonly message: string; readonly errcode: number | undefined }
);

const port = parentPort;
if (port === null) throw new Error("read-worker runs in a worker thread only");

const connection = openReader(String(workerData));

port.on("message", (request: ReadRequest) => {
  port.postMessage(answer(request));
});

function answer({ id, text, values, tenant }: ReadRequest): ReadResponse {
  const startedAt = performance.now();
  try {
    const result = connection.query(text, values, tenant);
    return { id, elapsedMs: performance.now() - startedAt, result };
  } catch (error) {
    const errcode =
      error instanceof Error && "errcode" in error ? Number(error.errcode) : undefined;
    return { id, elapsedMs: performance.now() - startedAt, message: String(error), errcode };
  }
}
