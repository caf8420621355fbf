import { isIPv6 } from "node:net";

import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";

/**
 * What a limit can tell callers apart by. `credential` is the key or client certificate, and the
 * subject of a token that has no id of its own; `principal` is the subject. Both are told apart by
 * tenant as well. Of an IPv6 address the first 64 bits count, which one customer has whole.
 */
export type SubjectPart = "address" | "tenant" | "credential" | "principal" | "route";

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const ipv6Groups = 8;

/** The subject of a request as text; undefined where a part is not known, such as who an anonymous caller is. */
export function subjectOf(
  by: SubjectPart | readonly SubjectPart[],
  exchange: Exchange,
): string | undefined {
  if (typeof by === "string") return partOf(by, exchange);
  let subject = "";
  for (const part of by) {
    const text = partOf(part, exchange);
    if (text === undefined) return undefined;
    subject = joined(subject, text);
  }
  return subject;
}

/** The subject of several parts, one more of which is `text`. */
export function joined(subject: string, text: string): string {
  // A length in front keeps two lists of parts from reading the same.
  return subject === "" ? text : `${subject}|${subject.length}|${text}`;
}

function partOf(part: SubjectPart, { principal, request, route }: Exchange): string | undefined {
  switch (part) {
    case "address":
      return addressSubject(request.ip);
    case "route":
      return route && routeText(route);
    case "tenant":
      return principal?.tenant;
    case "principal":
      return principal && `${principal.tenant}/${principal.subject}`;
    case "credential":
      return (
        principal && `${principal.tenant}/${principal.credentialId ?? `sub:${principal.subject}`}`
      );
  }
}

/** How a route is named as a part. */
export function routeText({ method, path }: Pick<Route, "method" | "path">): string {
  return `${method} ${path}`;
}

/** The part of an address that one customer of a network has: IPv4 whole, of IPv6 the first 64 bits. */
function addressSubject(address: string): string {
  // Most addresses, in a server that listens on IPv4.
  if (!address.includes(":")) return address;
  const ipv4 = mapped.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  const [plain = ""] = address.split("%");
  if (!isIPv6(plain)) return address;
  const [head = "", tail] = plain.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < ipv6Groups) groups.push("0");
    groups.push(...last);
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
