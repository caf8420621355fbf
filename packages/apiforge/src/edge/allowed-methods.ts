import createRouter, { type HTTPMethod } from "find-my-way";

/** Longest path parameter, as the router receives it; longer ones are answered with `uri_too_long`. */
export const maxParamLength = 255;

/** Methods that some route answers at the path of `url`, sorted; empty when none does. */
export type AllowedMethods = (url: string) => readonly string[];

/**
 * Looks paths up as Fastify's own router does, over all methods: Fastify only says that its
 * router found nothing for one.
 */
export function createAllowedMethods(
  routes: readonly { readonly method: HTTPMethod; readonly path: string }[],
): AllowedMethods {
  const router = createRouter({ maxParamLength });
  const methods = new Set<HTTPMethod>();
  for (const { method, path } of routes) {
    // Of several versions one will do.
    if (!router.hasRoute(method, path)) router.on(method, path, unused);
    methods.add(method);
  }
  return function allowedMethods(url) {
    const path = url.split("?", 1)[0] ?? "";
    const allowed: string[] = [...methods].filter((method) => {
      const found = router.find(method, path);
      return found !== null && !hasEmptyParam(found.params);
    });
    if (allowed.length === 0) return allowed;
    if (allowed.includes("GET")) allowed.push("HEAD");
    return [...allowed, "OPTIONS"].sort();
  };
}

/**
 * True when the router let a parameter be empty: `/things/` is no path of `/things/:id`, it would
 * name the thing without an id. What a wildcard stands for may be empty.
 */
export function hasEmptyParam(params: unknown): boolean {
  if (typeof params !== "object" || params === null) return false;
  for (const name in params) {
    if (name !== "*" && Reflect.get(params, name) === "") return true;
  }
  return false;
}

// The router is only asked whether it finds something.
function unused(): void {}
