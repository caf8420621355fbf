import { badRequest, notFound, unauthorized } from "apiforge";
import { createSchema } from "graphql-yoga";

import { topicAdded } from "../events.ts";
import { addTopic, findRepo, listRepos, listTopics, type Repo } from "../repos-table.ts";
import type { GraphQLContext } from "./context.ts";

/** Repositories of one page at most. */
export const maxPageSize = 50;

const typeDefs = /* GraphQL */ `
  type Query {
    repository(owner: String!, name: String!): Repository
    owner(login: String!): Owner!
  }

  type Mutation {
    "Adds a topic of a-z, 0-9 and -, up to 50 characters. Needs a token."
    addRepositoryTopic(owner: String!, name: String!, topic: String!): Repository
  }

  type Repository {
    name: String!
    nameWithOwner: String!
    owner: Owner!
    description: String
    stargazerCount: Int!
    topics: [String!]!
  }

  type Owner {
    login: String!
    "By name; at most ${maxPageSize}."
    repositories(first: Int! = 20): [Repository!]!
  }
`;

interface RepoKey {
  readonly owner: string;
  readonly name: string;
}

const topicPattern = /^[a-z0-9][a-z0-9-]{0,49}$/;

/** Version 4: repositories in the form that the client asks for. */
export const repoSchema = createSchema<GraphQLContext>({
  typeDefs,
  resolvers: {
    Query: {
      repository: async (_: unknown, { owner, name }: RepoKey, { reader }) =>
        (await findRepo(reader, owner, name)) ?? null,
      owner: (_: unknown, { login }: { login: string }) => ({ login }),
    },
    Mutation: { addRepositoryTopic },
    Repository: {
      nameWithOwner: ({ owner, name }: Repo) => `${owner}/${name}`,
      owner: ({ owner }: Repo) => ({ login: owner }),
      stargazerCount: ({ stars }: Repo) => stars,
      topics: (repo: Repo, _: unknown, { reader }) => listTopics(reader, repo),
    },
    Owner: {
      repositories({ login }: { login: string }, { first }: { first: number }, { reader }) {
        if (first < 1 || first > maxPageSize) {
          throw badRequest("page_invalid", `first is from 1 to ${maxPageSize}.`, "first");
        }
        return listRepos(reader, login, first);
      },
    },
  },
});

/** Refuses before it writes: what a refused field of a mutation did would stay, as GraphQL has it. */
async function addRepositoryTopic(
  _: unknown,
  { owner, name, topic }: RepoKey & { readonly topic: string },
  { tx, principal }: GraphQLContext,
): Promise<Repo> {
  if (tx === undefined || principal === undefined) {
    throw unauthorized("missing_token", "Send a bearer token in the Authorization header");
  }
  if (!topicPattern.test(topic)) {
    const message = "A topic is made of a-z, 0-9 and -, up to 50 characters.";
    throw badRequest("topic_invalid", message, "topic");
  }
  const repo = await findRepo(tx, owner, name);
  if (repo === undefined) throw notFound("No repository has this owner and name.");
  if (await addTopic(tx, repo, topic, principal.subject)) {
    tx.emit(topicAdded, { owner, name, topic, addedBy: principal.subject });
  }
  return repo;
}
