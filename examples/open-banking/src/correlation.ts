import { stage, type PlacedStage } from "apiforge";

export const correlationField = "x-correlation-id";
const sound = /^[\x21-\x7e]{1,128}$/;

/** The id by which a call is found again: the caller's own, else that of the request. */
export function correlationId(given: unknown, requestId: string): string {
  return typeof given === "string" && sound.test(given) ? given : requestId;
}

/** Puts `X-Correlation-Id` on every answer of the routes that `isOurs` names, refusals too. */
export function correlation(isOurs: (path: string) => boolean): PlacedStage {
  return stage("open-banking-correlation", "correlate", (route) => {
    if (route === undefined || !isOurs(route.path)) return undefined;
    return {
      enter(exchange) {
        const given = exchange.headers[correlationField];
        exchange.setHeader(correlationField, correlationId(given, exchange.id));
      },
    };
  });
}
