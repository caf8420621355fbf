/** Parts of the document that every operation refers to. */
export const components = {
  securitySchemes: {
    bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    certificate: { type: "mutualTLS", description: "A client certificate on the connection." },
    apiKey: {
      type: "apiKey",
      in: "header",
      name: "X-Api-Key",
      description: "Or as `Authorization: Bearer`, like a token.",
    },
  },
  parameters: {
    RequestId: {
      name: "X-Request-Id",
      in: "header",
      description: "Id of this request, 1-128 visible ASCII characters; made when absent.",
      schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,128}$" },
    },
    IfNoneMatch: {
      name: "If-None-Match",
      in: "header",
      description:
        "Tags of answers that the caller has; 304 when one of them is that of the answer.",
      schema: { type: "string" },
    },
    Fields: {
      name: "fields",
      in: "query",
      description:
        "Names of the fields that the answer is to have, with commas between them: id,owner.email.",
      schema: { type: "string" },
    },
    IfMatch: {
      name: "If-Match",
      in: "header",
      description: "Tags of which the answer must have one; 412 otherwise.",
      schema: { type: "string" },
    },
    WriteIfMatch: writeIfMatch(false),
    RequiredWriteIfMatch: writeIfMatch(true),
    IdempotencyKey: idempotencyKey(false),
    RequiredIdempotencyKey: idempotencyKey(true),
  },
  headers: {
    RequestId: {
      description: "Id of the request; quote it when you report a problem.",
      required: true,
      schema: { type: "string" },
    },
    Seq: {
      description: "Position of the commit in the event log.",
      schema: { type: "string", pattern: "^\\d+$" },
    },
    IdempotentReplayed: {
      description:
        "`true` when this is the recorded answer of an earlier request with the same key.",
      schema: { type: "string", const: "true" },
    },
    ETag: {
      description:
        "Strong tag of the body's bytes; send it in `If-None-Match` to get 304 while it stays.",
      required: true,
      schema: { type: "string", pattern: '^"[^"]*"$' },
    },
    CacheControl: {
      description: "How long the answer may be used again (RFC 9111).",
      required: true,
      schema: { type: "string" },
    },
    Deprecation: {
      description:
        "Since when, or from when on, callers should move: `@` and Unix seconds (RFC 9745).",
      required: true,
      schema: { type: "string", pattern: "^@-?\\d+$" },
    },
    Sunset: {
      description: "When this ends, as an HTTP date (RFC 8594).",
      required: true,
      schema: { type: "string" },
    },
    Link: {
      description:
        "What takes its place (`successor-version`) and what to read (`deprecation`, `sunset`).",
      required: true,
      schema: { type: "string" },
    },
  },
  responses: {
    Error: {
      description: "The request was refused or failed.",
      headers: { "X-Request-Id": { $ref: "#/components/headers/RequestId" } },
      content: {
        "application/json": { schema: { $ref: "#/components/schemas/Error" } },
        "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
      },
    },
  },
} as const;

/** Schemas of failures in both forms. */
export const failureSchemas = {
  Error: {
    type: "object",
    required: ["error"],
    properties: {
      error: {
        type: "object",
        required: ["type", "code", "message", "requestId"],
        properties: {
          type: { type: "string" },
          code: { type: "string" },
          message: { type: "string" },
          param: { type: "string" },
          requestId: { type: "string" },
        },
      },
    },
  },
  Problem: {
    type: "object",
    required: ["type", "title", "status", "detail", "instance", "code", "errorType", "requestId"],
    properties: {
      type: { type: "string" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string" },
      instance: { type: "string" },
      code: { type: "string" },
      errorType: { type: "string" },
      param: { type: "string" },
      requestId: { type: "string" },
    },
  },
} as const;

function idempotencyKey(required: boolean) {
  return {
    name: "Idempotency-Key",
    in: "header",
    required,
    description:
      "Makes a retry safe: the same key with the same request gets the recorded answer for 24 hours.",
    schema: { type: "string", minLength: 1, maxLength: 255 },
  } as const;
}

function writeIfMatch(required: boolean) {
  return {
    name: "If-Match",
    in: "header",
    required,
    description:
      "The ETag of what was read; 412 when it has changed since, and then nothing is done. In place of it, If-None-Match: * makes what is not there yet.",
    schema: { type: "string" },
  } as const;
}
