import type { FastifyRequest } from "fastify";

import {
  compileSchema,
  type Schema,
  type SchemaIssue,
  type ValueSource,
} from "../../schema/index.ts";
import { edgeError } from "../errors.ts";
import { BatchBody } from "../body/batch-body.ts";
import { compileDeclaredFields } from "../fields/declared-fields.ts";
import { sparseFields } from "../fields/sparse-fields.ts";
import { takesRawBody, type BodyDeclaration, type Route, type UnknownFields } from "../route.ts";
import type { Steps } from "../stage.ts";

/** The parts of a request as its route declares them. */
export interface ValidRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly headers: unknown;
  readonly body: unknown;
}

type PartName = keyof ValidRequest;
/** Answers what `value` is after its conversion; `path` names it in refusals. */
type CheckPart = (value: unknown, path?: string) => unknown;

const maxIssues = 5;
const maxIssueLength = 200;

/**
 * The stage that checks every declared part of a request and converts it, and reads `?fields=`.
 * It throws `validation_failed` and `unknown_field`, both with the `param` at fault, and
 * `invalid_url` for one with U+0000.
 */
export function validate(route: Route | undefined): Steps | undefined {
  if (route === undefined) return undefined;
  const check = requestCheck(route);
  const readFields = sparseFields(route);
  if (readFields === undefined) {
    return {
      enter(exchange) {
        exchange.valid = check(exchange.request);
      },
    };
  }
  return {
    enter(exchange) {
      const { request } = exchange;
      const query = request.query as Record<string, unknown>;
      if (query["fields"] !== undefined) {
        exchange.asked = readFields(query["fields"]);
        // The query of the declaration, and the cursors bound to it, know nothing of it.
        delete query["fields"];
      }
      exchange.valid = check(request);
    },
  };
}

function requestCheck(route: Route): (request: FastifyRequest) => ValidRequest {
  const params =
    route.params === undefined ? asGiven : checkPart("params", route.params, "text", "keep");
  const query =
    route.query === undefined ? ignore : checkPart("query", route.query, "text", "refuse");
  const headers =
    route.headers === undefined ? ignore : checkPart("headers", route.headers, "text", "keep");
  const body = takesRawBody(route) ? ignore : bodyCheck(route.body, route.unknownFields);
  return function validateRequest(request) {
    // As in bodies: what one store takes and the other fails on is refused before it gets there.
    if (request.url.includes("%00")) {
      throw edgeError("invalid_url", "The URL contains U+0000, which is not accepted");
    }
    return {
      params: params(request.params),
      query: query(request.query),
      headers: headers(request.headers),
      body: body(request.body),
    };
  };
}

function bodyCheck(declared: BodyDeclaration | undefined, unknownFields: UnknownFields): CheckPart {
  if (declared === undefined) return refuseBody;
  if (declared === "bytes") return bytesOf;
  // Its items are checked when they are taken in.
  return declared instanceof BatchBody
    ? ignore
    : checkPart("body", declared, "json", unknownFields);
}

// A request without a body is not parsed at all.
function bytesOf(body: unknown): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

/** The check of one part of requests. */
export function checkPart(
  name: PartName,
  schema: Schema,
  source: ValueSource,
  unknownFields: UnknownFields,
): CheckPart {
  const compiled = compileSchema(schema, source);
  const fields = unknownFields === "keep" ? undefined : compileDeclaredFields(compiled.input);
  return function check(given, path = name) {
    let value = given;
    if (fields !== undefined && unknownFields === "remove") value = fields.project(given);
    else {
      const undeclared = fields?.findUndeclared(given);
      if (undeclared !== undefined) throw unknownField(`${path}.${undeclared}`);
    }
    const result = compiled.validate(value);
    if (result.ok) return result.value;
    if (value === undefined) {
      throw edgeError("validation_failed", `${path} is required`, { param: path });
    }
    throw validationFailed(path, result.issues);
  };
}

function asGiven(value: unknown): unknown {
  return value;
}

function ignore(): undefined {
  return undefined;
}

// Clients of actions without input commonly send {}.
function refuseBody(body: unknown): undefined {
  if (body === undefined) return undefined;
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw edgeError("validation_failed", "This route takes no body", { param: "body" });
  }
  const [field] = Object.keys(body);
  if (field !== undefined) throw unknownField(`body.${field}`);
  return undefined;
}

function unknownField(path: string): Error {
  return edgeError("unknown_field", `${shorten(path)} is not a known field`, {
    param: shorten(path),
  });
}

function validationFailed(name: string, issues: readonly SchemaIssue[]): Error {
  const described = issues
    .slice(0, maxIssues)
    .map((issue) => shorten(`${pathOf(name, issue)}: ${issue.message}`));
  const more = issues.length > maxIssues ? `; and ${issues.length - maxIssues} more` : "";
  const [first] = issues;
  const param = first === undefined ? name : shorten(pathOf(name, first));
  return edgeError("validation_failed", `${described.join("; ")}${more}`, { param });
}

function pathOf(name: string, issue: SchemaIssue): string {
  return issue.path === "" ? name : `${name}.${issue.path}`;
}

// Paths repeat what the caller sent, at whatever length.
function shorten(text: string): string {
  return text.length <= maxIssueLength ? text : `${text.slice(0, maxIssueLength)}…`;
}
