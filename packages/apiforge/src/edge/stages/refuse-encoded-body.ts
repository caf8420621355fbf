import type { FastifyReply, FastifyRequest } from "fastify";

import { edgeError } from "../errors.ts";

/** Refuses compressed bodies before they are read: their size says nothing about their content's. */
export function refuseEncodedBody(
  request: FastifyRequest,
  _reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const encoding = request.headers["content-encoding"];
  if (encoding === undefined || encoding.toLowerCase() === "identity") done();
  else done(edgeError("unsupported_media_type", "Send the body without a Content-Encoding"));
}
