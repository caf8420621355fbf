import type { FastifyReply, FastifyRequest } from "fastify";

import { edgeError } from "../errors.ts";
import { hasEmptyParam, type AllowedMethods } from "../allowed-methods.ts";

/**
 * The stage that refuses what no route answers, before a body is read or a token is looked at:
 * 404 for an unknown path, 405 with `Allow` for a known one, 204 with `Allow` for OPTIONS.
 */
export function route(allowedMethods: AllowedMethods) {
  return function refuseUnrouted(
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
  ): void {
    // RFC 9112 section 3.2: an HTTP/1.1 request without Host is answered with 400.
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      done(edgeError("malformed_request", "The Host header is missing"));
      return;
    }
    if (!request.is404 && !hasEmptyParam(request.params)) {
      done();
      return;
    }
    const allowed = allowedMethods(request.url);
    if (allowed.length === 0) {
      done(edgeError("route_not_found", "No route answers this path"));
      return;
    }
    reply.header("allow", allowed.join(", "));
    if (request.method === "OPTIONS") {
      reply.code(204).send();
      return;
    }
    done(edgeError("method_not_allowed", `This path answers ${allowed.join(", ")}`));
  };
}
