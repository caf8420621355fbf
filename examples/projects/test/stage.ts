import type { Deployment, HttpRequest, HttpResponse, StoreName } from "@apiforge/testing";
import type { ScenarioRun } from "@apiforge/testing/scenario";
import { serveDuringTests } from "@apiforge/testing/served";
import { expect } from "vitest";

import { makeToken, type TokenName } from "./tokens.ts";

/** A project as the API answers it. */
export interface ProjectView {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly description: string | null;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A request of one of the {@link TokenName}s, `priya` when it does not say. */
export type StageRequest = Omit<HttpRequest, "token"> & { readonly as?: TokenName };

/** The real server with the projects system on an empty store. */
export interface Stage extends ScenarioRun {
  readonly deployment: () => Deployment;
  send(request: StageRequest): Promise<HttpResponse>;
  /** Creates a project, which must succeed. */
  create(body: object, as?: TokenName): Promise<ProjectView>;
  readonly storedRows: () => Promise<Readonly<Record<string, number>>>;
}

const countRows = `select
  (select count(*) from projects) as projects,
  (select count(*) from project_members) as members,
  (select count(*) from forge_idempotency) as answers,
  (select count(*) from forge_jobs) as jobs,
  (select count(*) from forge_events) as events`;

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function projectsStage(store: StoreName): Stage {
  const tokens = new Map<TokenName, Promise<string>>();

  const { deployment, client } = serveDuringTests(store);

  function token(name: TokenName): Promise<string> {
    const known = tokens.get(name) ?? makeToken(name, deployment().dataDir);
    tokens.set(name, known);
    return known;
  }

  async function send({ as = "priya", ...request }: StageRequest): Promise<HttpResponse> {
    return client().request({ ...request, token: await token(as) });
  }

  return {
    client,
    deployment,
    token: (name) => token(name as TokenName),
    send,
    async create(body, as = "priya") {
      const response = await send({ method: "POST", path: "/api/projects", as, body });
      expect(response.status, response.body).toBe(201);
      return dataOf(response);
    },
    storedRows() {
      return deployment().inspect(async (raw) => {
        const [row] = await raw.all(countRows);
        return row as Record<string, number>;
      });
    },
  };
}

/** The `data` of a successful answer. */
export function dataOf(response: HttpResponse): ProjectView {
  const { success, data } = response.json() as { success: boolean; data: ProjectView };
  expect(success).toBe(true);
  return data;
}
