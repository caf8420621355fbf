import type { JsonSchema } from "../../schema/index.ts";
import type { Method } from "../../edge/index.ts";
import type { OpenApiConfig, RouteConfig } from "./gateway-config.ts";
import { Inliner } from "./openapi-references.ts";
import { securityOf } from "./openapi-security.ts";
import type { ConfigPath, Problems } from "./problem.ts";
import { isObject } from "./shape.ts";

/** A route of a document, with the place of its operation. */
export interface ImportedRoute {
  /** JSON pointer (RFC 6901) as a fragment. */
  readonly pointer: string;
  readonly route: RouteConfig;
}

type Json = Readonly<Record<string, unknown>>;

const methods = ["get", "post", "put", "patch", "delete"] as const;
const json = /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i;
/** Described elsewhere in a document (section 4.8.12.1). */
const notHeaders: ReadonlySet<string> = new Set(["accept", "content-type", "authorization"]);
const places = { path: "params", query: "query", header: "headers" } as const;

/**
 * The routes of an OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1); what cannot be one is added to
 * `problems` with its JSON pointer.
 */
export function readOpenApi(
  { openapi: document, ...rest }: OpenApiConfig,
  at: ConfigPath,
  problems: Problems,
): ImportedRoute[] {
  const root = document as Json;
  const reader = new DocumentReader(root, at, problems);
  if (!/^3\.[12]\.\d+$/.test(String(root["openapi"]))) {
    reader.refuse("/openapi", "is no 3.1 or 3.2", "Convert the document to OpenAPI 3.1.");
    return [];
  }
  if (!isObject(root["paths"])) {
    reader.refuse("/paths", "is missing", "Write the paths of the API.");
    return [];
  }
  return Object.entries(root["paths"]).flatMap(([path, item]) => reader.routesOf(path, item, rest));
}

class DocumentReader {
  readonly #root: Json;
  readonly #at: ConfigPath;
  readonly #problems: Problems;
  readonly #inliner: Inliner;

  constructor(root: Json, at: ConfigPath, problems: Problems) {
    this.#root = root;
    this.#at = at;
    this.#problems = problems;
    this.#inliner = new Inliner(root, (pointer, problem, remedy) =>
      this.refuse(pointer, problem, remedy),
    );
  }

  refuse(pointer: string, problem: string, remedy: string): void {
    this.#problems.add([...this.#at, `#${pointer}`], problem, remedy);
  }

  routesOf(path: string, given: unknown, rest: Omit<OpenApiConfig, "openapi">): ImportedRoute[] {
    const pointer = `/paths/${escaped(path)}`;
    const item = this.#inliner.inline(given, pointer);
    if (!isObject(item)) return [];
    const ours = this.#pathOf(path, pointer);
    if (ours === undefined) return [];
    return methods.flatMap((method) => {
      const operation = item[method];
      if (!isObject(operation)) return [];
      const here = `${pointer}/${method}`;
      const route = this.#route({ path: ours, method, item, operation, here }, rest);
      return [{ pointer: `#${here}`, route }];
    });
  }

  /** `/pets/{id}` as `/pets/:id`. */
  #pathOf(path: string, pointer: string): string | undefined {
    const ours = path.replaceAll(/\{([A-Za-z]\w*)\}(?=\/|$)/g, ":$1");
    if (/^\/(?:(?::\w+|[\w.~-]+)(?:\/(?::\w+|[\w.~-]+))*)?$/.test(ours)) return ours;
    const remedy = "Give each parameter a segment of its own and a name of letters, digits and _.";
    this.refuse(pointer, "is a path that cannot be a route", remedy);
    return undefined;
  }

  #route(
    parts: {
      readonly path: string;
      readonly method: (typeof methods)[number];
      readonly item: Json;
      readonly operation: Json;
      readonly here: string;
    },
    { prefix = "", ...rest }: Omit<OpenApiConfig, "openapi">,
  ): RouteConfig {
    const { path, method, item, operation, here } = parts;
    const { summary, tags, security } = operation;
    const replies = this.#replies(operation["responses"]);
    const body = method === "get" ? undefined : bodyOf(operation["requestBody"]);
    return {
      ...rest,
      path: path === "/" && prefix !== "" ? prefix : prefix + path,
      methods: [method.toUpperCase() as Method],
      ...(prefix === "" ? {} : { stripPrefix: prefix }),
      ...this.#parameters(item, operation, here),
      ...(body === undefined ? {} : { body }),
      ...(replies === undefined ? {} : { replies }),
      ...(typeof summary === "string" && summary !== "" ? { summary } : {}),
      ...(Array.isArray(tags) && tags.length > 0 ? { tags: tags.map(String) } : {}),
      ...securityOf(this.#root, security, (problem, remedy) =>
        this.refuse(`${here}/security`, problem, remedy),
      ),
    };
  }

  #parameters(item: Json, operation: Json, here: string) {
    // Those of the operation win (section 4.8.10.1).
    const byName = new Map<string, Json>();
    for (const parameter of [item["parameters"], operation["parameters"]].flat()) {
      if (isObject(parameter))
        byName.set(JSON.stringify([parameter["in"], parameter["name"]]), parameter);
    }
    const found: Partial<Record<(typeof places)[keyof typeof places], JsonSchema>> = {};
    for (const [place, ours] of Object.entries(places)) {
      const of = [...byName.values()].filter(
        (parameter) =>
          parameter["in"] === place &&
          !(place === "header" && notHeaders.has(String(parameter["name"]).toLowerCase())),
      );
      for (const { name, schema } of of) {
        if (schema !== undefined) continue;
        const remedy = "Describe it by a schema.";
        this.refuse(`${here}/parameters`, `has ${String(name)} without a schema`, remedy);
      }
      if (of.length > 0) found[ours] = objectOf(of, place === "header");
    }
    return found;
  }

  /** The allow-list: JSON by status. Undefined where answers may be something else, which passes as it is. */
  #replies(responses: unknown): RouteConfig["replies"] | undefined {
    if (!isObject(responses)) return undefined;
    const declared = Object.entries(responses).filter(([status]) => /^[1-5]\d\d$/.test(status));
    const replies: Record<number, JsonSchema | null> = {};
    for (const [status, response] of declared) {
      const content = isObject(response) ? response["content"] : undefined;
      const types = isObject(content) ? Object.keys(content) : [];
      const schema = jsonSchema(content);
      if (types.length > 0 && (schema === undefined || types.some((type) => !json.test(type)))) {
        return undefined;
      }
      replies[Number(status)] = schema ?? null;
    }
    return declared.some(([status]) => status.startsWith("2")) ? replies : undefined;
  }
}

/** A body that may be missing is not checked: a route's schema is of a body that must be there. */
function bodyOf(requestBody: unknown): JsonSchema | undefined {
  if (!isObject(requestBody) || requestBody["required"] !== true) return undefined;
  const { content } = requestBody;
  const isJson = isObject(content) && Object.keys(content).every((type) => json.test(type));
  return isJson ? jsonSchema(content) : undefined;
}

function jsonSchema(content: unknown): JsonSchema | undefined {
  if (!isObject(content)) return undefined;
  const media = Object.entries(content).find(([type]) => json.test(type))?.[1];
  const schema = isObject(media) ? media["schema"] : undefined;
  return isObject(schema) ? schema : undefined;
}

function objectOf(parameters: readonly Json[], isHeader: boolean): JsonSchema {
  const nameOf = ({ name }: Json): string => (isHeader ? String(name).toLowerCase() : String(name));
  return {
    type: "object",
    properties: Object.fromEntries(parameters.map((each) => [nameOf(each), each["schema"] ?? {}])),
    required: parameters.filter((each) => each["required"] === true).map(nameOf),
  };
}

function escaped(token: string): string {
  return token.replaceAll("~", "~0").replaceAll("/", "~1");
}
