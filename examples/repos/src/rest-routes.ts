import { defineRoute, notFound } from "apiforge";
import { z } from "zod";

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
  summary: "Read a repository (use POST /graphql instead)",
  deprecated: { at: "2026-10-01", sunsetAt: "2027-10-01", successor: "/graphql" },
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
