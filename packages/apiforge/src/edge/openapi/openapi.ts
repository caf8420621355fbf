import { compileSchema, type JsonSchema, type Schema } from "../../schema/index.ts";
import { BatchBody } from "../body/batch-body.ts";
import { isSchemaObject } from "../fields/open-schema.ts";
import { sparseFields } from "../fields/sparse-fields.ts";
import {
  takesRawBody,
  type Auth,
  type BodyDeclaration,
  type Replies,
  type Route,
} from "../route.ts";
import { StreamReply, streamContentTypes } from "../stream-reply.ts";
import { TextReply } from "../text-reply.ts";
import type { VersionChoice } from "../versions/version-choice.ts";
import { components, failureSchemas } from "./components.ts";
import { SchemaCollector } from "./schema-collector.ts";

/** What `/openapi.json` says about the API as a whole. */
export interface ApiDescription {
  readonly title: string;
  readonly version: string;
  readonly description?: string;
}

const requestIdHeader = { "X-Request-Id": { $ref: "#/components/headers/RequestId" } };
const writeHeaders = {
  ...requestIdHeader,
  "X-Forge-Seq": { $ref: "#/components/headers/Seq" },
  "Idempotent-Replayed": { $ref: "#/components/headers/IdempotentReplayed" },
};
/** Names what a wildcard at a path's end stands for, slashes and all; it may be empty. */
const rest = "rest";
const failures = {
  "4XX": { $ref: "#/components/responses/Error" },
  "5XX": { $ref: "#/components/responses/Error" },
};

/** Any media type (OpenAPI 3.1 section 4.8.13.1), which is not described further. */
const anyBody = { requestBody: { content: { "*/*": {} } } };
/** An upstream's own errors look as it likes, so that no failure can be described either. */
const relayed = {
  default: {
    description: "What the service behind this route answers, or an error of this API.",
    headers: requestIdHeader,
    content: { "*/*": {} },
  },
};

/** The OpenAPI 3.1 document of a route table. */
export function createOpenApi(
  routes: readonly Route[],
  info: ApiDescription,
  versions?: VersionChoice,
): object {
  const collector = new SchemaCollector();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}").replace(/\*$/, `{${rest}}`);
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: operation(route, collector, versions),
    };
  }
  return {
    openapi: "3.1.0",
    info,
    paths,
    components: { ...components, schemas: { ...failureSchemas, ...collector.schemas } },
  };
}

function operation(
  route: Route,
  collector: SchemaCollector,
  versions: VersionChoice | undefined,
): object {
  const id = operationId(route);
  return {
    operationId: id,
    ...(route.summary === undefined ? {} : { summary: route.summary }),
    ...(route.tags.length === 0 ? {} : { tags: route.tags }),
    ...(route.deprecated === undefined ? {} : { deprecated: true }),
    security: security(route),
    parameters: [
      ...pathParameters(route, collector, id),
      ...declaredParameters("query", route.query, collector, id),
      ...fieldsParameter(route),
      ...versionParameter(route, versions),
      ...declaredParameters("header", route.headers, collector, id),
      ...headerParameters(route),
    ],
    ...(passesBody(route) ? anyBody : requestBody(route.body, collector, id)),
    responses:
      route.relay === undefined ? { ...replies(route, collector, id), ...failures } : relayed,
  };
}

/** An empty requirement makes the others optional (OpenAPI 3.1 section 4.8.30). */
function security({ auth, certificate, scopes }: Route): object[] {
  // Roles of what is no OAuth scheme may be named there since 3.1.
  const [token, key] = [{ bearer: scopes }, { apiKey: scopes }];
  const ways: Readonly<Record<Auth, object[]>> = {
    none: [],
    jwt: [token],
    certificate: [{ certificate: scopes }],
    key: [key],
    any: [token, key],
    optional: [{}, token, key],
  };
  if (certificate !== "required") return ways[auth];
  return ways[auth].map((way) => ({ ...way, certificate: [] }));
}

/** `postApiProjectsByIdMembers` for `POST /api/projects/:id/members`. */
function operationId(route: Route): string {
  const words = route.path.split("/").filter((segment) => segment !== "");
  const names = words.map((word) => capitalised(word.replace(/^:/, "by-").replace(/^\*$/, rest)));
  return route.method.toLowerCase() + names.join("");
}

function capitalised(segment: string): string {
  return segment
    .split(/\W+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

function pathParameters(route: Route, collector: SchemaCollector, id: string): object[] {
  const properties = route.params === undefined ? {} : propertiesOf(inputOf(route.params));
  const wildcard = { name: rest, in: "path", required: true, schema: { type: "string" } };
  const named = [...route.path.matchAll(/:(\w+)/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: placeProperty(properties[name], collector, `${id}Path${capitalised(name)}`) ?? {
      type: "string",
    },
  }));
  return route.path.endsWith("*") ? [...named, wildcard] : named;
}

function declaredParameters(
  place: "query" | "header",
  schema: Schema | undefined,
  collector: SchemaCollector,
  id: string,
): object[] {
  if (schema === undefined) return [];
  const input = inputOf(schema);
  const required: unknown = input["required"];
  return Object.entries(propertiesOf(input)).map(([name, property]) => ({
    name,
    in: place,
    required: Array.isArray(required) && required.includes(name),
    schema:
      placeProperty(property, collector, `${id}${capitalised(place)}${capitalised(name)}`) ?? {},
  }));
}

function fieldsParameter(route: Route): object[] {
  const hasFields = sparseFields(route) !== undefined;
  return hasFields ? [{ $ref: "#/components/parameters/Fields" }] : [];
}

function versionParameter({ version }: Route, choice: VersionChoice | undefined): object[] {
  if (version === undefined || choice === undefined) return [];
  const required = version !== choice.default;
  return [{ name: choice.header, in: "header", required, schema: { const: version } }];
}

function headerParameters(route: Route): object[] {
  const parameters = [{ $ref: "#/components/parameters/RequestId" }];
  if (route.etag) {
    parameters.push({ $ref: "#/components/parameters/IfNoneMatch" });
    parameters.push({ $ref: "#/components/parameters/IfMatch" });
  }
  if (route.precondition !== undefined) {
    const { required } = route.precondition;
    parameters.push({ $ref: `#/components/parameters/${required ? "Required" : ""}WriteIfMatch` });
  }
  if (route.idempotency === "optional") {
    parameters.push({ $ref: "#/components/parameters/IdempotencyKey" });
  } else if (route.idempotency === "required") {
    parameters.push({ $ref: "#/components/parameters/RequiredIdempotencyKey" });
  }
  return parameters;
}

function requestBody(
  schema: BodyDeclaration | undefined,
  collector: SchemaCollector,
  id: string,
): object {
  if (schema === undefined) return {};
  if (schema === "bytes") return anyBody;
  if (schema instanceof BatchBody) return batchRequestBody(schema, collector, id);
  const compiled = compileSchema(schema);
  return {
    requestBody: {
      required: !compiled.validate(undefined).ok,
      content: { "application/json": { schema: collector.place(compiled.input, `${id}Body`) } },
    },
  };
}

function passesBody(route: Route): boolean {
  return takesRawBody(route) && route.method !== "GET";
}

function batchRequestBody(body: BatchBody, collector: SchemaCollector, id: string): object {
  const item = collector.place(compileSchema(body.definition.item).input, `${id}Item`);
  const list = { type: "array", minItems: 1, maxItems: body.definition.maxItems, items: item };
  const schema = { type: "object", required: [body.field], properties: { [body.field]: list } };
  return {
    requestBody: {
      required: true,
      content: { "application/json": { schema }, "application/x-ndjson": { schema: item } },
    },
  };
}

function replies(route: Route, collector: SchemaCollector, id: string): object {
  const headers = {
    ...(route.method === "GET" ? requestIdHeader : writeHeaders),
    ...deprecationHeaders(route),
  };
  const described = Object.entries(route.replies).map(([status, schema]) => [
    status,
    {
      description: status.startsWith("2") ? "Success" : "Refusal",
      headers: status === "200" ? { ...headers, ...cachingHeaders(route, schema) } : headers,
      ...(schema === null ? {} : replyContent(schema, collector, `${id}Reply${status}`)),
    },
  ]);
  return { ...Object.fromEntries(described), ...notModified(route, headers) };
}

function cachingHeaders({ etag, cacheControl }: Route, reply: Replies[number]): object {
  return {
    ...(etag && !(reply instanceof StreamReply)
      ? { ETag: { $ref: "#/components/headers/ETag" } }
      : {}),
    ...(cacheControl === undefined
      ? {}
      : { "Cache-Control": { $ref: "#/components/headers/CacheControl" } }),
  };
}

function notModified(route: Route, headers: object): object {
  const reply = route.replies[200];
  if (!route.etag || reply === undefined || reply instanceof StreamReply) return {};
  const all = { ...headers, ...cachingHeaders(route, reply) };
  return { 304: { description: "The caller has this answer already.", headers: all } };
}

function deprecationHeaders({ deprecated }: Route): object {
  if (deprecated === undefined) return {};
  const { sunset, links } = deprecated;
  return {
    Deprecation: { $ref: "#/components/headers/Deprecation" },
    ...(sunset === undefined ? {} : { Sunset: { $ref: "#/components/headers/Sunset" } }),
    ...(links === undefined ? {} : { Link: { $ref: "#/components/headers/Link" } }),
  };
}

function replyContent(
  schema: Schema | StreamReply | TextReply,
  collector: SchemaCollector,
  name: string,
): object {
  if (schema instanceof StreamReply) {
    const [type = ""] = streamContentTypes[schema.format].split(";");
    const { output } = compileSchema(schema.schema);
    return { content: { [type]: { schema: collector.place(output, name) } } };
  }
  if (schema instanceof TextReply) {
    const [type = ""] = schema.contentType.split(";");
    return { content: { [type]: { schema: { type: "string" } } } };
  }
  const { output } = compileSchema(schema);
  return { content: { "application/json": { schema: collector.place(output, name) } } };
}

function inputOf(schema: Schema): JsonSchema {
  return compileSchema(schema, "text").input;
}

function propertiesOf(schema: JsonSchema): Record<string, unknown> {
  const properties = schema["properties"];
  return isSchemaObject(properties) ? { ...properties } : {};
}

function placeProperty(property: unknown, collector: SchemaCollector, name: string): unknown {
  return isSchemaObject(property) ? collector.place(property, name) : undefined;
}
