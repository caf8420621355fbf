import { expect, test } from "vitest";
import { coreMigrations } from "../../src/store/migrations/index.ts";
import { newDatabase, noteTable, openNode, rawClient } from "./postgres-harness.ts";

test.for(Array.from({ length: 10 }, (_, round) => round))(
  "nodes that start at once migrate once (%i)",
  async () => {
    const database = await newDatabase();
    const counted = {
      name: "0002-counted",
      sqlite: "",
      postgres: "create table counted (n integer); insert into counted values (1)",
    };
    const migrations = [noteTable, counted];
    const stores = await Promise.all([1, 2, 3].map(() => openNode(database.url, { migrations })));
    await Promise.all(stores.map((store) => store.check()));
    const raw = await rawClient(database.url);
    const { rows } = await raw.query("select n from counted");
    expect(rows).toEqual([{ n: 1 }]);
    const applied = await raw.query("select name from forge_migrations order by applied_at, name");
    expect(applied.rows).toHaveLength(coreMigrations.length + migrations.length);
  },
);

test("a migration that fails is named, and leaves the lock to the next node", async () => {
  const database = await newDatabase();
  const broken = { name: "0002-broken", sqlite: "", postgres: "create nonsense" };
  const opening = openNode(database.url, { migrations: [noteTable, broken] });
  await expect(opening).rejects.toMatchObject({
    code: "store_query_failed",
    message: /0002-broken/,
    cause: { code: "42601" },
  });
  await expect((await openNode(database.url)).check()).resolves.toBeUndefined();
});
