import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import {
  badRequest,
  defineRoute,
  plainAnswer,
  stage,
  stageOrder,
  type Exchange,
  type PlacedStage,
  type StageName,
} from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

const echo = defineRoute({
  method: "POST",
  path: "/echo",
  auth: "none",
  body: z.object({ text: z.string() }),
  replies: { 201: z.object({ text: z.string() }) },
  handler: ({ body }) => ({ status: 201, body }),
});
const other = defineRoute({
  method: "GET",
  path: "/other",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => ({ status: 200, body: {} }),
});

const places = stageOrder.filter((place) => place !== "backend");

function noting(name: string, after: StageName, notes: string[]): PlacedStage {
  return stage(name, after, () => ({
    enter: () => void notes.push(`in ${name}`),
    leave: (_exchange, { answer }) => void notes.push(`out ${name} ${answer.status}`),
  }));
}

async function start(stages: readonly PlacedStage[]): Promise<Harness> {
  harness = await startHarness([echo, other], { stages });
  return harness;
}

function post(body: unknown = { text: "hi" }) {
  return { method: "POST", url: "/echo", payload: body as object } as const;
}

test("stages run in the order of their places and leave in the reverse one", async () => {
  const notes: string[] = [];
  const { edge } = await start(places.toReversed().map((place) => noting(place, place, notes)));

  expect((await edge.inject(post())).statusCode).toBe(201);

  expect(notes).toEqual([
    ...places.map((place) => `in ${place}`),
    ...places.toReversed().map((place) => `out ${place} 201`),
  ]);
});

test("a stage that refuses ends the way in, and every stage sees the refusal leave", async () => {
  const notes: string[] = [];
  const refusing = stage("refusing", "admit", () => ({
    enter: () => {
      throw badRequest("not_today", "Not today");
    },
  }));
  const { edge } = await start([
    noting("before", "authorize", notes),
    refusing,
    noting("behind", "receive", notes),
  ]);

  const answer = await edge.inject(post());

  expect(answer.json()).toMatchObject({ error: { code: "not_today" } });
  expect(notes).toEqual(["in before", "out behind 400", "out before 400"]);
});

test("a stage may wait, answer in the handler's place, and put headers on whatever answer there is", async () => {
  const notes: string[] = [];
  const answering = stage("answering", "validate", () => ({
    async enter(exchange: Exchange) {
      await Promise.resolve();
      exchange.setHeader("x-stage", "was here");
      exchange.answer = plainAnswer(202, { "content-type": "text/plain" }, "from a stage");
    },
  }));
  const { edge } = await start([answering, noting("behind", "idempotency", notes)]);

  const answer = await edge.inject(post());

  expect([answer.statusCode, answer.body, answer.headers["x-stage"]]).toEqual([
    202,
    "from a stage",
    "was here",
  ]);
  expect(notes).toEqual(["out behind 202"]);
});

test("the way out may put another answer in the place of the one that came", async () => {
  const masking = stage("masking", "admit", () => ({
    leave: () => plainAnswer(404, { "content-type": "text/plain" }, "nothing here"),
  }));
  const { edge } = await start([masking]);

  const answer = await edge.inject(post());

  expect([answer.statusCode, answer.body]).toEqual([404, "nothing here"]);
});

test("a stage that fails on the way out answers 500, and an error still gets out past it", async () => {
  const broken = stage("broken", "admit", () => ({
    leave: () => {
      throw new TypeError("broken on purpose");
    },
  }));
  const { edge, lines } = await start([broken]);

  const answer = await edge.inject(post());

  expect(answer.statusCode).toBe(500);
  expect(answer.json()).toMatchObject({ error: { code: "internal_error" } });
  expect(lines.map(({ message }) => message)).toContain(
    "a stage failed on the way out of an error",
  );
});

test("a stage is asked once per route and once for requests that no route answers", async () => {
  const asked: (string | undefined)[] = [];
  const counting = stage("counting", "guard", (route) => {
    asked.push(route?.path);
    return route === undefined
      ? { leave: (exchange) => exchange.setHeader("x-unrouted", "yes") }
      : undefined;
  });
  const { edge } = await start([counting]);

  const [known, unknown] = [
    await edge.inject({ method: "GET", url: "/other" }),
    await edge.inject({ method: "GET", url: "/nowhere" }),
  ];

  expect(new Set(asked)).toEqual(new Set(["/echo", "/other", undefined]));
  expect(asked).toHaveLength(3);
  expect([known.headers["x-unrouted"], unknown.headers["x-unrouted"]]).toEqual([undefined, "yes"]);
});

test("a name is used once, and nothing stands behind the backend", async () => {
  const twice = stage("twice", "admit", () => undefined);
  await expect(startHarness([echo], { stages: [twice, twice] })).rejects.toThrow("two stages");
  expect(() => stage("late", "backend", () => undefined)).toThrow("nothing runs after");
  expect(() => stage("Not A Name", "admit", () => undefined)).toThrow("a name is made of");
});
