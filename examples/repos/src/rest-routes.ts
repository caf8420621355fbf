import { defineRoute, notFound } from "apiforge";
import { z } from "zod";

import { deprecation } from "./deprecation.ts";
import { findRepo, listTopics } from "./repos-table.ts";

const repository = z.object({
  name: z.string(),
  full_name: z.string(),
  owner: z.object({ login: z.string() }),
  description: z.string().nullable(),
  stargazers_count: z.number(),
  topics: z.array(z.string()),
});

/** Version 3: a repository in one answer of a fixed form. */
export const readRepoRoute = defineRoute({
  method: "GET",
  path: "/repos/:owner/:repo",
  auth: "none",
  summary: "Read a repository (deprecated: use POST /graphql)",
  tags: ["repos"],
  replies: { 200: repository },
  handler: async ({ params, tx }) => {
    const repo = await findRepo(tx, params.owner, params.repo);
    if (repo === undefined) throw notFound("No repository has this owner and name.");
    return {
      status: 200,
      body: {
        name: repo.name,
        full_name: `${repo.owner}/${repo.name}`,
        owner: { login: repo.owner },
        description: repo.description,
        stargazers_count: repo.stars,
        topics: await listTopics(tx, repo),
      },
    };
  },
});

/** The end of version 3, told on its every answer. */
export const readRepoDeprecation = deprecation({
  path: readRepoRoute.path,
  deprecatedAt: Date.UTC(2026, 9, 1),
  sunsetAt: Date.UTC(2027, 9, 1),
  successor: "/graphql",
});
