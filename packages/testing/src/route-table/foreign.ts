import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Route } from "apiforge";
import type { HttpResponse } from "../http-client.ts";
import { caller, validToken } from "./callers.ts";
import { expectEnvelope, requestFor, routeName, type RouteRun } from "./route-run.ts";

/** Rows of one tenant that were made through the API. */
export interface OwnedRows {
  readonly tenant: string;
  /**
   * Who made them. The caller of another tenant has the same one, so that only the tenant differs;
   * a route with limits of its own is called by somebody new each time.
   */
  readonly subject: string;
  /** Ids by the path up to the parameter: `/projects/:id` is the one of `/projects/:id/members` too. */
  readonly ids: Readonly<Record<string, string>>;
  /** Texts that stand in these rows and nowhere else. */
  readonly marks: readonly string[];
}

/**
 * Reads `route` as the owner of its rows, who must see one of them.
 * @returns the body, to be compared with a later one
 */
export async function assertOwned(run: RouteRun, route: Route, rows: OwnedRows): Promise<string> {
  const answer = await callAs(run, route, rows, rows.tenant);
  expect(answer.status, answer.body).toBe(200);
  expect(traces(answer, rows), `${routeName(route)}: ${answer.body}`).not.toEqual([]);
  return answer.body;
}

/**
 * Calls `route` as a caller of another tenant who may do everything there. Where the path names a
 * row of the owner's it must be 403 or 404 with the error envelope; a list is without it.
 */
export async function assertForeignRefused(
  run: RouteRun,
  route: Route,
  rows: OwnedRows,
  foreignTenant: string,
): Promise<void> {
  const answer = await callAs(run, route, rows, foreignTenant);
  const named = route.path.includes(":");
  const not = `${routeName(route)} must not show another tenant's row: ${answer.body}`;
  expect(named ? [403, 404] : [200], not).toContain(answer.status);
  if (named) expectEnvelope(answer);
  expect(traces(answer, rows), not).toEqual([]);
}

function traces({ body }: HttpResponse, { ids, marks }: OwnedRows): readonly string[] {
  return [...Object.values(ids), ...marks].filter((text) => body.includes(text));
}

async function callAs(
  run: RouteRun,
  route: Route,
  rows: OwnedRows,
  tenant: string,
): Promise<HttpResponse> {
  const { dataDir } = run.deployment();
  // A limit of the route counts callers, and would answer in the place of what is asked for here.
  const subject = route.limits.length === 0 ? rows.subject : `usr_${randomUUID()}`;
  const token = await validToken(dataDir, { ...caller(route, tenant), subject });
  return run.client().request({ ...requestFor(run, route, pathOf(route, rows)), token });
}

function pathOf(route: Route, { ids }: OwnedRows): string {
  return route.path.replaceAll(/:\w+/g, (name, offset: number) => {
    const id = ids[route.path.slice(0, offset) + name];
    if (id === undefined) throw new Error(`${routeName(route)} needs an id in \`ids\``);
    return id;
  });
}
