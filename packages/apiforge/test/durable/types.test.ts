import { Type } from "typebox";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  defineConsumer,
  defineEvent,
  defineJob,
  defineSchedule,
  sql,
  type Durable,
  type EnqueuedJob,
  type JobContext,
  type Reader,
  type Transaction,
} from "../../src/durable/index.ts";
import type { LogEvent, Row } from "../../src/store/index.ts";

const zodEvent = defineEvent("zod", z.object({ id: z.string(), size: z.number().default(1) }));
const typeBoxEvent = defineEvent("typebox", Type.Object({ id: Type.String() }));
const zodJob = defineJob("zod", {
  input: z.object({
    at: z.string().transform((text) => new Date(text)),
    note: z.string().optional(),
  }),
  run: async (context) => {
    expectTypeOf(context.input).toEqualTypeOf<{ at: Date; note?: string | undefined }>();
    expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
  },
});
const typeBoxJob = defineJob("typebox", {
  input: Type.Object({ count: Type.Integer(), tags: Type.Optional(Type.Array(Type.String())) }),
  run: async (context) => {
    expectTypeOf(context.input.count).toEqualTypeOf<number>();
    expectTypeOf(context.input.tags).toEqualTypeOf<string[] | undefined>();
  },
});

/** Never called: what stands in it is for the compiler. */
type Check = (tx: Transaction, durable: Durable, reader: Reader) => unknown;

describe("the types of the durable core", () => {
  test("know the data of an event", () => {
    const check: Check = (tx) => {
      expectTypeOf(tx.emit(zodEvent, { id: "a" })).toEqualTypeOf<string>();
      tx.emit(zodEvent, { id: "a", size: 2 });
      tx.emit(typeBoxEvent, { id: "a" });
      // @ts-expect-error -- a field is missing
      tx.emit(zodEvent, {});
      // @ts-expect-error -- a field has the wrong type
      tx.emit(zodEvent, { id: 7 });
      // @ts-expect-error -- a field is not declared
      tx.emit(zodEvent, { id: "a", other: 1 });
      // @ts-expect-error -- the data are missing
      tx.emit(zodEvent);
      // @ts-expect-error -- a field has the wrong type
      tx.emit(typeBoxEvent, { id: 7 });
      // @ts-expect-error -- a job is no event
      tx.emit(zodJob, { at: "now" });
    };
    expectTypeOf(check).toBeFunction();
  });

  test("know the input of a job: what is sent when it is enqueued, what was made of it when it runs", () => {
    const check: Check = (tx) => {
      expectTypeOf(tx.enqueue(zodJob, { at: "now" })).toEqualTypeOf<Promise<EnqueuedJob>>();
      void tx.enqueue(typeBoxJob, { count: 1, tags: [] }, { delay: "5m", priority: -1 });
      // @ts-expect-error -- the handler gets a date, the caller sends text
      void tx.enqueue(zodJob, { at: new Date() });
      // @ts-expect-error -- a field has the wrong type
      void tx.enqueue(typeBoxJob, { count: "1" });
      // @ts-expect-error -- a field is missing
      void tx.enqueue(typeBoxJob, { tags: [] });
      // @ts-expect-error -- an option is not declared
      void tx.enqueue(typeBoxJob, { count: 1 }, { wait: "5m" });
      // @ts-expect-error -- a duration has a unit
      void tx.enqueue(typeBoxJob, { count: 1 }, { delay: "5 minutes" });
      // @ts-expect-error -- an event is no job
      void tx.enqueue(zodEvent, { id: "a" });
    };
    expectTypeOf(check).toBeFunction();
  });

  test("refuse definitions that do not fit", () => {
    const input = z.object({ n: z.number() });
    const check = () => {
      // @ts-expect-error -- a handler must wait for what it does
      defineJob("x", { input, run: () => 1 });
      // @ts-expect-error -- the handler wants another input
      defineJob("x", { input, run: async (context: JobContext<{ n: string }>) => void context });
      // @ts-expect-error -- there is no handler
      defineJob("x", { input });
      // @ts-expect-error -- a schema is needed
      defineEvent("x");
      // @ts-expect-error -- the types it wants are missing
      defineConsumer("x", { handle: async () => {} });
    };
    expectTypeOf(check).toBeFunction();
  });

  test("know the input of a schedule's job", () => {
    const cron = "@daily";
    const check = () => {
      defineSchedule("x", { cron, job: zodJob, input: { at: "now" } });
      defineSchedule("x", {
        cron,
        job: zodJob,
        input: (tick) => {
          expectTypeOf(tick.fireAt).toEqualTypeOf<number>();
          return { at: "now" };
        },
      });
      // @ts-expect-error -- the handler gets a date, the schedule sends text
      defineSchedule("x", { cron, job: zodJob, input: { at: new Date() } });
      // @ts-expect-error -- a field has the wrong type
      defineSchedule("x", { cron, job: typeBoxJob, input: () => ({ count: "1" }) });
      // @ts-expect-error -- there is no such policy
      defineSchedule("x", { cron, job: zodJob, input: { at: "now" }, catchUp: "all" });
    };
    expectTypeOf(check).toBeFunction();
  });

  test("give a consumer an event and a transaction", () => {
    defineConsumer("x", {
      events: ["zod"],
      handle: async (context) => {
        expectTypeOf(context.event).toEqualTypeOf<LogEvent>();
        expectTypeOf(context.tx).toEqualTypeOf<Transaction>();
      },
    });
  });

  test("let rows be what the caller says they are", () => {
    const check: Check = (tx, _, reader) => {
      expectTypeOf(tx.sql`select 1`).toEqualTypeOf<Promise<readonly Row[]>>();
      expectTypeOf(reader.sql<{ id: string }>`select id`).toEqualTypeOf<
        Promise<readonly { id: string }[]>
      >();
      void tx.sql`select ${1} ${"a"} ${1n} ${true} ${null} ${undefined} ${new Date()} ${sql`x`}`;
      // @ts-expect-error -- an object is no value
      void tx.sql`select ${{ a: 1 }}`;
      // @ts-expect-error -- nor is an array
      void tx.sql`select ${[1, 2]}`;
    };
    expectTypeOf(check).toBeFunction();
  });

  test("let a reader read and nothing else", () => {
    expectTypeOf<Reader>().not.toHaveProperty("emit");
    expectTypeOf<Reader>().not.toHaveProperty("enqueue");
    const check: Check = (_, durable) => {
      const read = durable.read("x", async () => 5);
      expectTypeOf(read).toEqualTypeOf<Promise<number>>();
      const actor = { tenant: "t", requestId: "r" };
      expectTypeOf(durable.transact("x", actor, async () => "a")).toEqualTypeOf<Promise<string>>();
      // @ts-expect-error -- a transaction is on somebody's behalf
      void durable.transact("x", async () => "a");
    };
    expectTypeOf(check).toBeFunction();
  });
});
