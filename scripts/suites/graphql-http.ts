import { repos } from "@apiforge/example-repos";
import { serverAudits } from "graphql-http";

import type { SuiteScore } from "./score.ts";
import { serve } from "./serve.ts";

/** The audits of graphql-http, which follow GraphQL over HTTP, on the endpoint of `examples/repos`. */
export async function runGraphqlHttp(): Promise<SuiteScore> {
  const { routes = [], ...rest } = repos({ documents: "any" });
  await using server = await serve(routes, rest);
  const failures: string[] = [];
  const audits = serverAudits({ url: `${server.url}/graphql` });
  for (const { id, name, fn } of audits) {
    const result = await fn();
    if (result.status !== "ok") failures.push(`${id} ${name}: ${result.reason}`);
  }
  return { suite: "graphql-http, server audits", total: audits.length, failures };
}
