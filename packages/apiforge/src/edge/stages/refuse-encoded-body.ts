import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { takesRawBody, type Route } from "../route.ts";
import type { Steps } from "../stage.ts";

/** The stage that refuses compressed bodies before they are read: their size says nothing about their content's. */
export function refuseEncodedBody(route: Route | undefined): Steps | undefined {
  if (route === undefined || route.method === "GET" || takesRawBody(route)) return undefined;
  return { enter: requirePlainBody };
}

function requirePlainBody({ headers }: Exchange): void {
  const encoding = headers["content-encoding"];
  if (encoding === undefined || encoding.toLowerCase() === "identity") return;
  throw edgeError("unsupported_media_type", "Send the body without a Content-Encoding");
}
