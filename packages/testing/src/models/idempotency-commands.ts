import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import {
  createDurable,
  defineEvent,
  defineJob,
  type Answer,
  type Durable,
  type Transaction,
  type WriteOutcome,
  type WriteRequest,
} from "apiforge/internal/durable";
import { ApiForgeError, silentLog } from "apiforge/internal/kernel";
import { z } from "zod";
import type { OpenStore } from "../contracts/index.ts";
import { faultyStore, type FaultyStore } from "./faulty-store.ts";
import type {
  Behaviour,
  IdempotencyModel,
  ModelOutcome,
  ModelRequest,
} from "./idempotency-model.ts";

const happened = defineEvent("happened", z.object({}));
const followUp = defineJob("follow-up", { input: z.object({}), run: async () => {} });

/** Two processes over one store. */
export class IdempotencySystem {
  readonly open: OpenStore;
  readonly persistent: boolean;
  /** Runs of handlers so far; each answers with its number. */
  runs = 0;
  #nodes: readonly { readonly durable: Durable; readonly store: FaultyStore }[] = [];

  constructor(open: OpenStore, persistent: boolean) {
    this.open = open;
    this.persistent = persistent;
    this.restart();
  }

  /** Puts new processes in the place of the old ones. */
  restart(): void {
    this.#nodes = [1, 2].map(() => {
      const store = faultyStore(this.open.store);
      const { clock } = this.open;
      return {
        store,
        durable: createDurable({ store, clock, log: silentLog, jobs: [], consumers: [] }),
      };
    });
  }

  /** Executes `request` on one of the nodes, with its fault. */
  async execute(request: ModelRequest, node: number): Promise<ModelOutcome> {
    const chosen = this.#nodes[node % this.#nodes.length];
    if (chosen === undefined) throw new Error("There is no node");
    chosen.store.nextFault = request.fault;
    try {
      return toOutcome(await chosen.durable.execute(this.#request(request)));
    } catch (error) {
      if (error === broken) return { outcome: "broken" };
      if (ApiForgeError.is(error) && error.code === "commit_outcome_unknown") {
        return { outcome: "unknown" };
      }
      throw error;
    } finally {
      chosen.store.nextFault = undefined;
    }
  }

  /** How many rows, events and jobs there are: with each effect one of each. */
  async effects(): Promise<readonly number[]> {
    const count = `select (select count(*) from note) as notes,
      (select count(*) from forge_events) as events, (select count(*) from forge_jobs) as jobs`;
    const { rows } = await this.open.store.read("count effects", (reader) =>
      reader.queryText(count, []),
    );
    return ["notes", "events", "jobs"].map((name) => Number(rows[0]?.[name]));
  }

  #request({ key, content, behaviour }: ModelRequest): WriteRequest {
    let run = 0;
    return {
      label: "POST /things",
      tenant: "ten_1",
      requestId: "req_1",
      idempotency:
        key === undefined
          ? undefined
          : { key, digest: bytesOf(key), fingerprint: bytesOf(content) },
      run: async (tx) => {
        run = this.runs += 1;
        await haveEffects(tx, run);
        return behave(behaviour, run);
      },
      refuse: (error) =>
        ApiForgeError.is(error) && error.status < 500 ? reply(error.status, run) : undefined,
    };
  }
}

const broken = new Error("broken");

async function haveEffects(tx: Transaction, run: number): Promise<void> {
  await tx.sql`insert into note (id, body) values (${`run-${run}`}, ${"text"})`;
  tx.emit(happened, {});
  await tx.enqueue(followUp, {});
}

function behave(behaviour: Behaviour, run: number): Answer {
  switch (behaviour) {
    case "creates":
      return reply(201, run);
    case "declines":
      return reply(402, run);
    case "fails":
      return reply(503, run);
    case "refuses":
      throw new ApiForgeError(
        "refused",
        { type: "conflict_error", status: 409, retryable: false },
        "Refused",
      );
    case "breaks":
      throw broken;
  }
}

function reply(status: number, run: number): Answer {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify({ run }) };
}

function toOutcome(outcome: WriteOutcome): ModelOutcome {
  if (!("answer" in outcome)) return { outcome: outcome.outcome };
  const { status, body } = outcome.answer;
  return { outcome: outcome.outcome, status, run: JSON.parse(body).run };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(hash("sha256", text), "hex").subarray(0, 16);
}

type Command = fc.AsyncCommand<IdempotencyModel, IdempotencySystem>;

function command(
  name: string,
  run: (model: IdempotencyModel, system: IdempotencySystem) => Promise<void>,
): Command {
  return {
    check: () => true,
    toString: () => name,
    async run(model, system) {
      await run(model, system);
      same(`effects after ${name}`, await system.effects(), Array(3).fill(model.effects));
    },
  };
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

const requests: fc.Arbitrary<ModelRequest> = fc.record({
  key: fc.constantFrom("a", "b", "c", undefined),
  content: fc.constantFrom("x", "x", "y"),
  behaviour: fc.constantFrom("creates", "creates", "declines", "refuses", "fails", "breaks"),
  fault: fc.constantFrom(undefined, undefined, undefined, "undone", "unheard"),
});
const nodes = fc.nat(1);

const execute = fc.tuple(requests, nodes).map(([request, node]) =>
  command(`execute(${JSON.stringify(request)})`, async (model, system) => {
    const expected = model.execute(request, system.runs + 1);
    same(`execute(${JSON.stringify(request)})`, await system.execute(request, node), expected);
  }),
);

/** Equal requests at once on one node: it lets one of them through. */
const crowd = fc.tuple(requests, nodes).map(([given, node]) => {
  const request = { ...given, key: given.key ?? "a" };
  return command(`crowd(${JSON.stringify(request)})`, async (model, system) => {
    const expected = model.execute(request, system.runs + 1);
    const outcomes = await Promise.all([1, 2, 3].map(() => system.execute(request, node)));
    const turnedAway = { outcome: "in_flight" };
    same(`crowd(${JSON.stringify(request)})`, outcomes, [expected, turnedAway, turnedAway]);
  });
});

/** Equal requests at once on two nodes: the store lets one of them through. */
const race = fc.constantFrom("a", "b", "c").map((key) =>
  command(`race(${key})`, async (model, system) => {
    const request: ModelRequest = { key, content: "x", behaviour: "creates", fault: undefined };
    const run = system.runs + 1;
    const outcomes = await Promise.all([0, 1].map((node) => system.execute(request, node)));
    const first = model.execute(request, run);
    const later = first.outcome === "fresh" ? { ...first, outcome: "replayed" } : first;
    const allowed = [later, { outcome: "in_flight" }];
    const rest = [...outcomes];
    if (first.outcome === "fresh") {
      const winner = rest.findIndex((outcome) => isDeepStrictEqual(outcome, first));
      if (winner === -1) throw new Error(`race(${key}): nobody won: ${JSON.stringify(outcomes)}`);
      rest.splice(winner, 1);
    }
    for (const outcome of rest) {
      if (allowed.some((one) => isDeepStrictEqual(one, outcome))) continue;
      throw new Error(`race(${key}): ${JSON.stringify(outcomes)}`);
    }
  }),
);

const advance = fc.constantFrom(1, 1_000, 1_800_000).map((ms) =>
  command(`advance(${ms})`, async (model, system) => {
    await system.open.advance(ms);
    model.now += ms;
  }),
);

const hourMs = 3_600_000;
const sweep = fc.constantFrom(0, hourMs).map((olderThanMs) =>
  command(`sweep(${olderThanMs})`, async (model, { open }) => {
    const swept = await open.store.idempotency.sweep(olderThanMs, 10_000);
    same(`sweep(${olderThanMs})`, swept, model.sweep(olderThanMs));
  }),
);

const restart = fc.constantFrom("reopen" as const, "crash" as const).map((how) =>
  command(how, async (_, system) => {
    if (system.persistent) await system.open[how]();
    system.restart();
  }),
);

/** Everything that can happen to idempotency keys; what is done most stands twice. */
export const idempotencyCommands: readonly fc.Arbitrary<Command>[] = [
  execute,
  execute,
  execute,
  crowd,
  race,
  advance,
  sweep,
  restart,
];
