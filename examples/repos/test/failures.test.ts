import type { Reader, Route, Transaction } from "apiforge";
import { expect, test } from "vitest";

import { FirstUse } from "../src/graphql/first-use.ts";
import { graphqlRoutes } from "../src/graphql/routes.ts";
import { createGraphQLServer } from "../src/graphql/server.ts";

/** A store that fails in its own words. */
const failing = {
  sql: () => Promise.reject(new Error('relation "repos" is gone from db-7')),
} as unknown as Reader;

test("what a resolver did not plan for is kept for the whole request to fail with, and not told", async () => {
  const failures: unknown[] = [];
  const answer = await createGraphQLServer("any")(
    {
      method: "POST",
      accept: "application/json",
      parameters: { query: '{ repository(owner: "o", name: "n") { name } }' },
    },
    { reader: failing, tx: undefined, principal: undefined, failures },
  );
  expect(failures).toEqual([new Error('relation "repos" is gone from db-7')]);
  expect(await answer.json()).toMatchObject({
    data: { repository: null },
    errors: [{ message: "Something went wrong on our side.", path: ["repository"] }],
  });
});

test("a request of which a resolver failed throws, so that nothing of it commits", async () => {
  const server = new FirstUse("any");
  await server.prepare();
  const { routes }: { readonly routes: readonly Route[] } = graphqlRoutes(server);
  const post = routes.find(({ method }) => method === "POST");
  const body = { query: '{ repository(owner: "o", name: "n") { name } }' };
  const context = { body, headers: {}, tx: failing as Transaction, principal: undefined };
  type Context = Parameters<Route["handler"]>[0];
  await expect(post?.handler(context as unknown as Context)).rejects.toThrow("is gone from db-7");
});
