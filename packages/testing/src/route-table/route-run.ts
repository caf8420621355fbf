import { expect } from "vitest";
import type { Route } from "apiforge";
import type { Deployment } from "../crash/index.ts";
import type { HttpClient, HttpRequest, HttpResponse } from "../http-client.ts";

/** A running server, whose routes are called one by one. */
export interface RouteRun {
  readonly client: () => HttpClient;
  readonly deployment: () => Deployment;
  /** A body that the route accepts, by {@link routeName}. */
  readonly bodies: Readonly<Record<string, unknown>>;
  /** A query string that the route accepts, by {@link routeName}; none by default. */
  readonly queries?: Readonly<Record<string, string>>;
  /** By {@link routeName}: routes that store what anybody sends, without a principal; none by default. */
  readonly openToAll?: readonly string[];
}

/** Tells the routes of a table apart: `GET /projects/:id`. */
export function routeName({ method, path }: Pick<Route, "method" | "path">): string {
  return `${method} ${path}`;
}

/** Names of the routes that the server describes, those without a declaration (health) left out. */
export async function servedRoutes(client: HttpClient): Promise<readonly string[]> {
  const { paths } = (await client.request({ path: "/openapi.json" })).json() as {
    paths: Record<string, object>;
  };
  return Object.entries(paths)
    .filter(([path]) => !path.startsWith("/health"))
    .flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => /^(get|post|put|patch|delete)$/.test(method))
        .map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
    )
    .toSorted();
}

/** A request for `route` at `path`, with the body that it is known to accept. */
export function requestFor(run: RouteRun, route: Route, path: string): HttpRequest {
  const { method, body, idempotency } = route;
  const sent = run.bodies[routeName(route)];
  const key = idempotency === "required" ? { "idempotency-key": `table-${path}` } : {};
  if (body === undefined) return { method, path, headers: key };
  if (body === "bytes") return { method, path, rawBody: typeof sent === "string" ? sent : "" };
  // Without it the handler would not be reached, and a refusal by validation would look like safety.
  if (sent === undefined) throw new Error(`${routeName(route)} needs a body in \`bodies\``);
  return { method, path, body: sent, headers: key };
}

/** Asserts that an answer is the one error envelope, with the request id of its header. */
export function expectEnvelope(answer: HttpResponse): void {
  expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(answer.json()).toEqual({
    error: {
      type: expect.stringMatching(/^[a-z_]+$/),
      code: expect.stringMatching(/^[a-z_]+$/),
      message: expect.stringMatching(/\S/),
      requestId: answer.headers["x-request-id"] ?? "the value of a missing X-Request-Id",
    },
  });
}
