import { errorFactory } from "../kernel/index.ts";

/** Errors of the graphql room: documents that do not get to their upstream. */
export const graphqlErrors = {
  query_invalid: { type: "invalid_request_error", status: 400, retryable: false },
  query_too_deep: { type: "invalid_request_error", status: 400, retryable: false },
  query_too_costly: { type: "invalid_request_error", status: 400, retryable: false },
  introspection_refused: { type: "invalid_request_error", status: 400, retryable: false },
  document_missing: { type: "invalid_request_error", status: 400, retryable: false },
  document_not_listed: { type: "invalid_request_error", status: 400, retryable: false },
} as const;

/** Makes an error of the room's table. */
export const graphqlError = errorFactory(graphqlErrors);
