/** That a route is on its way out, and until when it stays. */
export interface DeprecationOptions {
  /** Since when, or from when on, callers should move; ISO 8601 with a time zone, or a date in UTC. */
  readonly at: string | Date;
  /**
   * When the route ends: requests from then on are answered with 410 `version_sunset`. At least twelve
   * months after `at`. Default: it stays.
   */
  readonly sunsetAt?: string | Date;
  /** URL, or path, of what takes the route's place. */
  readonly successor?: string;
  /** URL, or path, of a page that tells callers what to do. */
  readonly docs?: string;
  /** True serves the route past `sunsetAt` too. Default false. */
  readonly keepServing?: boolean;
  /** True takes a `sunsetAt` that leaves callers less than twelve months. Default false. */
  readonly force?: boolean;
}

/** {@link DeprecationOptions} as a route's answers tell them. */
export interface Deprecation {
  /** RFC 9745 section 2.1: a structured field's date. */
  readonly deprecation: string;
  /** RFC 8594 section 3: an HTTP date. */
  readonly sunset: string | undefined;
  /** Members of `Link` (RFC 8288). */
  readonly links: string | undefined;
  /** When requests begin to be refused, epoch milliseconds; undefined for never. */
  readonly endsAt: number | undefined;
}

/** @throws {TypeError} for instants and links that are none, and a sunset too early. */
export function compileDeprecation(options: DeprecationOptions): Deprecation {
  const { successor, docs, keepServing = false } = options;
  const deprecatedAt = instant("at", options.at);
  const sunsetAt =
    options.sunsetAt === undefined ? undefined : instant("sunsetAt", options.sunsetAt);
  if (sunsetAt !== undefined) refuseEarlySunset(deprecatedAt, sunsetAt, options.force === true);
  const links: string[] = [];
  if (successor !== undefined) links.push(link(successor, "successor-version"));
  if (docs !== undefined) links.push(link(docs, "deprecation"));
  if (docs !== undefined && sunsetAt !== undefined) links.push(link(docs, "sunset"));
  return {
    deprecation: `@${Math.floor(deprecatedAt / 1_000)}`,
    sunset: sunsetAt === undefined ? undefined : new Date(sunsetAt).toUTCString(),
    links: links.length === 0 ? undefined : links.join(", "),
    endsAt: keepServing ? undefined : sunsetAt,
  };
}

/** The first instant at which what was deprecated at `deprecatedAt` may end; 29 February's is 1 March. */
function earliestSunsetAt(deprecatedAt: number): number {
  const date = new Date(deprecatedAt);
  return date.setUTCFullYear(date.getUTCFullYear() + 1);
}

function refuseEarlySunset(deprecatedAt: number, sunsetAt: number, force: boolean): void {
  // RFC 9745 section 4.
  if (sunsetAt < deprecatedAt) {
    throw new TypeError("deprecated: sunsetAt is not to be earlier than at");
  }
  if (force || sunsetAt >= earliestSunsetAt(deprecatedAt)) return;
  throw new TypeError(
    "deprecated: sunsetAt leaves callers less than twelve months; force says that this is meant",
  );
}

// Without a zone, a time would be another one on each machine.
const isoPattern = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;

function instant(name: string, value: string | Date): number {
  const at = typeof value === "string" ? parseInstant(value) : value.getTime();
  if (Number.isNaN(at)) {
    throw new TypeError(`deprecated: ${name} is no instant of ISO 8601 with a time zone`);
  }
  return at;
}

function parseInstant(text: string): number {
  return isoPattern.test(text) ? Date.parse(text) : Number.NaN;
}

function link(target: string, relation: string): string {
  // What ends the target in the header, or is no URL.
  if (!/^[!#-;=?-~]+$/.test(target) || !URL.canParse(target, "http://host")) {
    throw new TypeError(`deprecated: ${target} is neither a URL nor a path`);
  }
  return `<${target}>; rel="${relation}"`;
}
