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
export type ReadResponse =
  | { readonly id: number; readonly result: QueryResult }
  | { readonly id: number; readonly message: string; readonly errcode: number | undefined };

const port = parentPort;
if (port === null) throw new Error("read-worker runs in a worker thread only");

const connection = openReader(String(workerData));

port.on("message", (request: ReadRequest) => {
  port.postMessage(answer(request));
});

function answer({ id, text, values, tenant }: ReadRequest): ReadResponse {
  try {
    return { id, result: connection.query(text, values, tenant) };
  } catch (error) {
    const errcode =
      error instanceof Error && "errcode" in error ? Number(error.errcode) : undefined;
    return { id, message: String(error), errcode };
  }
}
