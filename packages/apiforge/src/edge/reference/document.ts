/** A schema, or a reference to one, as far as the page tells it. */
export interface SchemaObject {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaObject>>;
  readonly required?: readonly string[];
  readonly items?: SchemaObject | boolean;
  readonly additionalProperties?: SchemaObject | boolean;
  readonly anyOf?: readonly SchemaObject[];
  readonly oneOf?: readonly SchemaObject[];
  readonly allOf?: readonly SchemaObject[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
}

export interface ParameterObject {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: SchemaObject;
}

export type ContentObject = Readonly<Record<string, { readonly schema?: SchemaObject }>>;

export interface ResponseObject {
  readonly $ref?: string;
  readonly description?: string;
  readonly content?: ContentObject;
}

export interface OperationObject {
  readonly operationId: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly deprecated?: boolean;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly ParameterObject[];
  readonly requestBody?: { readonly required?: boolean; readonly content: ContentObject };
  readonly responses: Readonly<Record<string, ResponseObject>>;
}

/** What `/openapi.json` has, as far as the page tells it. */
export interface OpenApiDocument {
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly description?: string;
  };
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: object;
}

/** Follows references inside of one document. */
export type Resolve = <T extends { readonly $ref?: string }>(object: T) => T;

export function resolver(document: OpenApiDocument): Resolve {
  return function resolve<T extends { readonly $ref?: string }>(object: T): T {
    if (object.$ref === undefined) return object;
    let found: unknown = document;
    for (const token of object.$ref.slice(2).split("/")) {
      const name = decodeURIComponent(token).replaceAll("~1", "/").replaceAll("~0", "~");
      found = typeof found === "object" && found !== null ? Reflect.get(found, name) : undefined;
    }
    // The document is our own: what it refers to is there, and of the kind that is wanted.
    return (found ?? {}) as T;
  };
}
