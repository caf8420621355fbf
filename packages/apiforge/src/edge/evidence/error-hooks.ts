import { ApiForgeError } from "../../kernel/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Failure } from "../problem.ts";

/** What an application may change of an error answer. */
export interface ErrorChanges {
  /** In place of the message. */
  readonly message?: string;
  /** Beside the envelope's own fields, whose names are not taken. */
  readonly fields?: Readonly<Record<string, string | number | boolean | null>>;
}

/**
 * Asked for every error answer, before it is recorded or sent. It is given what the caller would be
 * told, never what was thrown, so that it cannot tell more of our insides than that.
 */
export type OnError = (failure: Failure, exchange: Exchange) => ErrorChanges | undefined;

/** Where an unexpected error came up. */
export interface ReportContext {
  readonly requestId: string;
  readonly traceId: string | undefined;
  readonly method: string;
  /** The route's template; undefined for a path that none answers. */
  readonly route: string | undefined;
  readonly tenant: string | undefined;
  readonly subject: string | undefined;
}

/** Takes unexpected errors to where people look at them. */
export interface ErrorReporter {
  /** Called for errors that were answered with status 500. Nothing waits for it. */
  report(error: unknown, context: ReportContext): void;
  /** Sends what has not been sent; called when the server stops. */
  flush?(): Promise<unknown>;
}

/** What an application does with errors. */
export interface ErrorHooks {
  readonly onError?: OnError | undefined;
  readonly reporter?: ErrorReporter | undefined;
}

/** `failure` as the application wants it told; as it is when `onError` fails itself. */
export function changedFailure(
  failure: Failure,
  exchange: Exchange,
  { onError }: ErrorHooks,
): Failure & Pick<ErrorChanges, "fields"> {
  if (onError === undefined) return failure;
  try {
    const { message = failure.message, fields } = onError(failure, exchange) ?? {};
    return { ...failure, message, ...(fields === undefined ? {} : { fields }) };
  } catch (error) {
    exchange.log.error({ err: error }, "onError failed; the error is answered as it was");
    return failure;
  }
}

/** Tells the reporter of an error that was not made on purpose. */
export function reportUnexpected(
  error: unknown,
  exchange: Exchange,
  { reporter }: ErrorHooks,
): void {
  if (error instanceof Error) exchange.span?.recordException(error);
  if (reporter === undefined || (ApiForgeError.is(error) && error.retryable)) return;
  const { id: requestId, traceId, method, route, principal } = exchange;
  try {
    reporter.report(error, {
      ...{ requestId, traceId, method },
      route: route?.path,
      tenant: principal?.tenant,
      subject: principal?.subject,
    });
  } catch (reportError) {
    exchange.log.error({ err: reportError }, "the error reporter failed");
  }
}
