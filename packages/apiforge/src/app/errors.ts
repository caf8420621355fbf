import { errorFactory } from "../kernel/index.ts";

/** Errors of the app room: what keeps a server from starting. */
export const appErrors = {
  config_invalid: { type: "api_error", status: 500, retryable: false },
  data_dir_unusable: { type: "api_error", status: 500, retryable: false },
  processes_need_postgres: { type: "api_error", status: 500, retryable: false },
  address_unusable: { type: "api_error", status: 500, retryable: false },
} as const;

export const appError = errorFactory(appErrors);
