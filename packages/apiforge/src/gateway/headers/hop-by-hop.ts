/**
 * Fields that end at this hop (RFC 9110 section 7.6.1), the ones that speak of it though no list says
 * so, and the framing, which each side's connection has of its own.
 */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "trailers",
  "transfer-encoding",
  "upgrade",
]);

/** True for a field that is not passed on; `name` is in lower case. */
export function endsHere(name: string): boolean {
  return hopByHop.has(name);
}

const none: ReadonlySet<string> = new Set();

/** Fields that a sender says are for this hop, in lower case: the members of its `Connection`. */
export function namedByConnection(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || /^(?:keep-alive|close)$/i.test(connection)) return none;
  return new Set(connection.split(",").map((member) => member.trim().toLowerCase()));
}
