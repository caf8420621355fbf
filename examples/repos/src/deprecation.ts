import { stage, type PlacedStage } from "apiforge";

/** What clients of a route are told about its end. */
export interface Deprecation {
  /** Path of the route, as it was declared. */
  readonly path: string;
  /** Epoch milliseconds. */
  readonly deprecatedAt: number;
  /** When it may stop to answer; epoch milliseconds. */
  readonly sunsetAt: number;
  /** Where to go instead. */
  readonly successor: string;
}

/**
 * Tells on every answer of a route that it is deprecated (RFC 9745), until when it is served
 * (RFC 8594), and its successor (RFC 5829).
 */
export function deprecation(options: Deprecation): PlacedStage {
  const headers = {
    // A Date of RFC 9651 section 3.3.7: seconds.
    deprecation: `@${Math.floor(options.deprecatedAt / 1_000)}`,
    sunset: new Date(options.sunsetAt).toUTCString(),
    link: `<${options.successor}>; rel="successor-version"`,
  };
  return stage("deprecation", "version", (route) =>
    route?.path === options.path
      ? {
          enter(exchange) {
            for (const [name, value] of Object.entries(headers)) exchange.setHeader(name, value);
          },
        }
      : undefined,
  );
}
