import { edgeError } from "../errors.ts";
import type { Route } from "../route.ts";
import type { VersionChoice } from "../versions/version-choice.ts";
import { createOpenApi, type ApiDescription } from "./openapi.ts";

/**
 * The document of the version that `?version=` names, by default of that for requests that name none:
 * a path has one operation of a method in OpenAPI. Where routes have no versions there is one document.
 */
export function openApiDocuments(
  routes: readonly Route[],
  api: ApiDescription,
  choice: VersionChoice | undefined,
): (query: unknown) => object {
  if (choice === undefined) {
    const only = createOpenApi(routes, api);
    return () => only;
  }
  const documents = new Map<unknown, object>();
  for (const version of choice.versions) {
    const ofVersion = routes.filter((route) => (route.version ?? version) === version);
    documents.set(version, createOpenApi(ofVersion, api, choice));
  }
  return function documentOf(query) {
    const { version = choice.default } = query as { readonly version?: unknown };
    const document = documents.get(version);
    if (document !== undefined) return document;
    const there = [...choice.versions].join(", ");
    throw edgeError("unknown_version", `There is version ${there}`, { param: "query.version" });
  };
}
