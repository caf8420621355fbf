import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SqlRunner, Store } from "apiforge/internal/store";
import type { StoreFixture } from "./fixture.ts";
import { addNote, noteIds, statement } from "./samples.ts";

/** This store's placeholder for the value at `index`, as a query builder would write it. */
function placeholder(store: Store, index: number): string {
  return store.dialect === "sqlite" ? "?" : `$${index + 1}`;
}

/** Text that both databases can hold: PostgreSQL refuses NUL, and neither keeps half a surrogate pair. */
const words = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0"));

async function roundTrip(
  runner: SqlRunner,
  column: "words" | "whole" | "fraction" | "bytes",
  value: string | number | bigint | Uint8Array | null,
) {
  await runner.query(statement`delete from sample`);
  const insert = `insert into sample (n, ${column}) values (`;
  await runner.query({ texts: [insert, ", ", ")"], values: [1, value] });
  const [row] = await runner.query({
    texts: [`select ${column} as value from sample`],
    values: [],
  });
  return row?.["value"];
}

/** Statements of the application: {@link SqlRunner}. */
export function userSqlContract(fixture: StoreFixture): void {
  describe("a statement", () => {
    test("takes its values apart from its text", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const hostile = `'); drop table note; --`;
      await store.transact("hostile", async (tx) => {
        await addNote(tx, hostile);
        const rows = await tx.query(statement`select id from note where id = ${hostile}`);
        expect(rows).toEqual([{ id: hostile }]);
      });
      expect(await noteIds(store)).toEqual([hostile]);
    });

    test("may hold the marks of placeholders in its literals", async () => {
      await using open = await fixture.open();
      const [row] = await open.store.read("marks", (reader) =>
        reader.query(statement`select '? $1 :a' as marks, ${"bound"} as bound`),
      );
      expect(row).toEqual({ marks: "? $1 :a", bound: "bound" });
    });

    test("may have many values, and begin or end with one", async () => {
      await using open = await fixture.open();
      const values = Array.from({ length: 60 }, (_, index) => `v${index}`);
      const texts = ["select id from note where id in (", ...values.slice(1).map(() => ", "), ")"];
      await open.store.transact("many", async (tx) => {
        await addNote(tx, "v59");
        await addNote(tx, "other");
        expect(await tx.query({ texts, values })).toEqual([{ id: "v59" }]);
      });
    });

    test("answers its rows by column name, and none when it returns none", async () => {
      await using open = await fixture.open();
      await open.store.transact("rows", async (tx) => {
        const none = await tx.query(statement`insert into note (id, body) values (${"a"}, ${"b"})`);
        expect(none).toEqual([]);
        const returned = await tx.query(
          statement`insert into note (id, body) values (${"c"}, ${"d"}) returning id, body`,
        );
        expect(returned).toEqual([{ id: "c", body: "d" }]);
        expect(await tx.query(statement`select id from note where id = ${"none"}`)).toEqual([]);
      });
    });

    test("answers whole numbers as numbers, counts too", async () => {
      await using open = await fixture.open();
      await open.store.transact("numbers", async (tx) => {
        await tx.query(statement`insert into sample (n, whole) values (${1}, ${5_000_000_000})`);
        const [row] = await tx.query(
          statement`select count(*) as total, max(whole) as whole, max(n) as n from sample`,
        );
        expect(row).toEqual({ total: 1, whole: 5_000_000_000, n: 1 });
      });
    });

    test("tells how many rows it changed", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const [first, second] = [placeholder(store, 0), placeholder(store, 1)];
      await store.transact("changes", async (tx) => {
        const insert = `insert into note (id, body) values (${first}, ${second})`;
        expect(await tx.queryText(insert, ["a", "x"])).toEqual({ rows: [], changes: 1 });
        await tx.queryText(insert, ["b", "x"]);
        const update = await tx.queryText(`update note set body = ${first}`, ["y"]);
        expect(update).toEqual({ rows: [], changes: 2 });
        const returning = `delete from note where id = ${first} returning id`;
        expect(await tx.queryText(returning, ["a"])).toEqual({ rows: [{ id: "a" }], changes: 1 });
        const miss = await tx.queryText(`delete from note where id = ${first}`, ["none"]);
        expect(miss).toEqual({ rows: [], changes: 0 });
      });
    });

    test("a select changes nothing", async () => {
      await using open = await fixture.open();
      await open.store.transact("select", async (tx) => {
        await addNote(tx, "a");
        const { rows, changes } = await tx.queryText("select id from note", []);
        expect(rows).toEqual([{ id: "a" }]);
        // PostgreSQL's driver counts the rows of a select, which is no change.
        expect(changes).toBe(0);
      });
    });

    test("may be one of more than a thousand", async () => {
      await using open = await fixture.open();
      await open.store.transact("many texts", async (tx) => {
        for (let index = 0; index < 1_100; index += 1) {
          const rows = await tx.queryText(`select ${index} as n`, []);
          if (rows.rows[0]?.["n"] !== index) throw new Error(`${index} came back wrong`);
        }
        expect(await tx.queryText("select 0 as n", [])).toMatchObject({ rows: [{ n: 0 }] });
      });
    });
  });

  describe("a value", () => {
    test.for([
      ["words", words],
      ["whole", fc.maxSafeInteger()],
      ["fraction", fc.double({ noNaN: true, noDefaultInfinity: true })],
      ["bytes", fc.uint8Array({ maxLength: 300 })],
    ] as const)("of %s comes back as it was bound", async ([column, arbitrary]) => {
      await using open = await fixture.open();
      await open.store.transact("values", async (tx) => {
        await fc.assert(
          fc.asyncProperty(
            arbitrary as fc.Arbitrary<string | number | Uint8Array>,
            async (value) => {
              const back = await roundTrip(tx, column, value);
              if (value instanceof Uint8Array)
                expect(Buffer.from(back as Uint8Array).equals(value)).toBe(true);
              // SQL has no negative zero.
              else expect(back).toEqual(value === 0 ? 0 : value);
            },
          ),
          { numRuns: 50 },
        );
      });
    });

    test("of every byte comes back", async () => {
      await using open = await fixture.open();
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      await open.store.transact("bytes", async (tx) => {
        const back = await roundTrip(tx, "bytes", bytes);
        expect(back).toBeInstanceOf(Uint8Array);
        expect([...(back as Uint8Array)]).toEqual([...bytes]);
      });
    });

    test("may be a bigint, null or a boolean", async () => {
      await using open = await fixture.open();
      await open.store.transact("kinds", async (tx) => {
        expect(Number(await roundTrip(tx, "whole", 9_007_199_254_740_991n))).toBe(
          Number.MAX_SAFE_INTEGER,
        );
        expect(await roundTrip(tx, "words", null)).toBeNull();
        await tx.query(statement`insert into sample (n, flag) values (${2}, ${true})`);
        await tx.query(statement`insert into sample (n, flag) values (${3}, ${false})`);
        const rows = await tx.query(statement`select n from sample where flag = ${true}`);
        expect(rows).toEqual([{ n: 2 }]);
        const [flag] = await tx.query(statement`select flag from sample where n = ${3}`);
        expect(Boolean(flag?.["flag"])).toBe(false);
      });
    });
  });

  describe("a failing statement", () => {
    test("that breaks a constraint tells the handler why, and nothing of it stays", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("first", (tx) => addNote(tx, "a"));
      let seen: unknown;
      const second = store.transact("second", async (tx) => {
        await addNote(tx, "b");
        try {
          await addNote(tx, "a");
        } catch (error) {
          seen = error;
          throw error;
        }
      });
      await expect(second).rejects.toMatchObject({ code: "unique_violation", status: 409 });
      await expect(second).rejects.toBe(seen);
      expect((seen as Error).cause).toBeInstanceOf(Error);
      expect(await noteIds(store)).toEqual(["a"]);
    });

    test("shows neither its text nor its values to the caller of the API", async () => {
      await using open = await fixture.open();
      const broken = open.store.transact("broken", (tx) =>
        tx.query(statement`insert into nowhere (a) values (${"swordfish"})`),
      );
      const error: unknown = await broken.catch((error: unknown) => error);
      expect(error).toMatchObject({ code: "store_query_failed" });
      expect((error as Error).message).not.toMatch(/nowhere|swordfish/);
    });

    test.for(["commit", "rollback", "begin", "savepoint mine", " /* so */ COMMIT"])(
      "that would end the transaction is refused: %s",
      async (text) => {
        await using open = await fixture.open();
        const { store } = open;
        const neighbour = store.transact("neighbour", (tx) => addNote(tx, "neighbour"));
        const meddler = store.transact("meddler", async (tx) => {
          await addNote(tx, "meddler");
          await tx.queryText(text, []);
        });
        await expect(meddler).rejects.toMatchObject({ code: "store_query_failed" });
        await expect(neighbour).resolves.toBeDefined();
        expect(await noteIds(store)).toEqual(["neighbour"]);
      },
    );
  });
}
