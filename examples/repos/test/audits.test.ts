import { serverAudits } from "graphql-http";
import { describe, expect, test } from "vitest";

import { reposStage } from "./stage.ts";

describe("GraphQL over HTTP, as graphql-http audits it", () => {
  const stage = reposStage("sqlite");
  const audits = serverAudits({ url: () => `${stage.url()}/graphql` });

  test("has all audits of its version", () => {
    expect(audits).toHaveLength(61);
  });

  test.for(audits.map(({ id, name, fn }) => [id, name, fn] as const))(
    "%s %s",
    async ([, , run]) => {
      const result = await run();
      expect(result.status, "reason" in result ? result.reason : "").toBe("ok");
    },
  );
});
