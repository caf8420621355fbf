import type { Clock, Duration } from "../../kernel/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";
import type { LoadLimit } from "../stages/shed-load.ts";
import type { Counter } from "./counter.ts";
import { aheadOf, type LimitJournal } from "./journal.ts";
import { admit, type Admission, type Check } from "./limiter.ts";
import type { LeaseDesk } from "./lease-desk.ts";
import { LeasedCounter } from "./leased-counter.ts";
import { limitPolicy, subjectFor, type LimitOptions, type LimitPolicy } from "./policy.ts";
import { Refusals } from "./refusals.ts";
import { WindowTable } from "./window-table.ts";

/** Limits of a whole server. */
export interface ServerLimits {
  /** For every declared route; counted by address unless they say otherwise. */
  readonly limits?: readonly LimitOptions[];
  /**
   * By the plan of the caller's credential; `default` is for callers without a plan and for plans that
   * are not listed. Counted by credential unless they say otherwise.
   */
  readonly plans?: Readonly<Record<string, readonly LimitOptions[]>>;
  /** Answers of status 401 that one address may get; further requests are refused before a token is looked at. */
  readonly failedAuthentications?: { readonly limit: number; readonly per: Duration };
  /** Requests at work at once; those above it are answered 503 before their body is read. Default no limit. */
  readonly load?: LoadLimit;
  /** Serves `GET /v1/limits/:subject` to admins: what is left to a caller of their tenant. Default false. */
  readonly shown?: boolean;
}

/** A policy with what counts it. */
export interface Counted {
  readonly policy: LimitPolicy;
  readonly counter: Counter;
}

/** What keeps counts beyond the process. */
export interface CountKeepers {
  /** Of windows that slide; absent, blocks are leased for them too, where there is a desk. */
  readonly journal?: LimitJournal | undefined;
  readonly desk?: LeaseDesk | undefined;
}

/** The limits of one route. */
export interface LimitsOfRoute {
  /** Known before the token is looked at. */
  readonly early: readonly Counted[];
  readonly late: readonly Counted[];
  readonly latePerPlan: ReadonlyMap<string, readonly Counted[]>;
}

const defaultPlan = "default";

/** All policies of a server with what counts them. */
export class LimitBook {
  readonly clock: Clock;
  readonly elapsed: () => number;
  readonly refusals: Refusals;
  readonly #keepers: CountKeepers;
  /** Of this book and those before it, by name: what was counted outlives a change of the routes. */
  readonly #counters: Map<string, Counted>;
  readonly #counted = new Map<string, Counted>();
  readonly #everywhere: readonly LimitPolicy[];
  readonly #plans: ReadonlyMap<string, readonly LimitPolicy[]>;
  readonly failedAuthentications: Counted | undefined;

  /**
   * @param before the book that this one takes the place of, whose keepers and counts it goes on with.
   * @throws {TypeError} for limits that cannot work.
   */
  constructor(clock: Clock, server: ServerLimits, keepers: CountKeepers = {}, before?: LimitBook) {
    this.clock = clock;
    this.elapsed = before?.elapsed ?? elapsedBy(clock);
    this.refusals = before?.refusals ?? new Refusals();
    this.#keepers = before === undefined ? keepers : before.#keepers;
    this.#counters = before === undefined ? new Map() : before.#counters;
    this.#everywhere = (server.limits ?? []).map((options) => limitPolicy(options, "address"));
    this.#plans = new Map(
      Object.entries(server.plans ?? {}).map(([plan, limits]) => [
        plan,
        limits.map((options) => limitPolicy(options, "credential")),
      ]),
    );
    const failed = server.failedAuthentications;
    this.failedAuthentications = failed && this.#count(failedPolicy(failed));
  }

  /** @throws {TypeError} for two policies of one name that differ. */
  ofRoute(route: Route): LimitsOfRoute {
    const own = [...this.#everywhere, ...route.limits];
    const late = own.filter(({ isEarly }) => !isEarly);
    const plans = route.auth === "none" ? [] : [...this.#plans];
    return {
      early: this.#countAll(own.filter(({ isEarly }) => isEarly)),
      late: this.#countAll(late),
      latePerPlan: new Map(
        plans.map(([plan, policies]) => [plan, this.#countAll([...late, ...policies])]),
      ),
    };
  }

  /** Asks `counted` about this request; undefined when none of them counts it. */
  admit(counted: readonly Counted[], exchange: Exchange): Admission | undefined {
    const checks: Check[] = [];
    for (const { policy, counter } of counted) {
      const subject = subjectFor(policy, exchange);
      if (subject !== undefined) checks.push({ policy, counter, subject });
    }
    return checks.length === 0 ? undefined : admit(checks, this.elapsed());
  }

  /** All policies of the routes so far. */
  counted(): readonly Counted[] {
    return [...this.#counted.values()];
  }

  /** What to wait for before {@link admit} can be asked; undefined when it can. */
  prepare(counted: readonly Counted[], exchange: Exchange): Promise<unknown> | undefined {
    let waits: Promise<void>[] | undefined;
    for (const { policy, counter } of counted) {
      if (counter.prepare === undefined) continue;
      const subject = subjectFor(policy, exchange);
      const wait = subject === undefined ? undefined : counter.prepare(subject, this.elapsed());
      if (wait !== undefined) (waits ??= []).push(wait);
    }
    return waits && Promise.all(waits);
  }

  /** From now on counts by its own limits, over what the book before it has counted. */
  takeOver(): void {
    for (const { policy, counter } of this.#counted.values()) {
      const { policy: before } = this.#counters.get(policy.name) ?? { policy };
      if (before.limit === policy.limit) continue;
      counter.resize(policy.limit);
      if (counter instanceof WindowTable) this.#keepers.journal?.resize(policy, counter);
      this.#counters.set(policy.name, { policy, counter });
    }
  }

  /** Gives back what was leased and not used. */
  async close(): Promise<void> {
    const counters = [...this.#counters.values()].map(({ counter }) => counter);
    const leased = counters.filter((counter) => counter instanceof LeasedCounter);
    await Promise.all(leased.map((counter) => counter.close()));
    await this.#keepers.journal?.close();
  }

  /** What the requests of an admission wait for before they may go on; undefined for nothing. */
  settle({ rulings }: Admission): Promise<void> | undefined {
    const { journal } = this.#keepers;
    if (journal === undefined) return undefined;
    for (const { counter, subject } of rulings) {
      if (!(counter instanceof WindowTable)) continue;
      const wait = journal.wait(counter, subject);
      // One write has all of them.
      if (wait !== undefined) return wait;
    }
    return undefined;
  }

  /** Counts a failed authentication. */
  countFailed({ counter }: Counted, subject: string): void {
    counter.take(subject, this.elapsed());
    if (counter instanceof WindowTable) void this.#keepers.journal?.wait(counter, subject);
  }

  #countAll(policies: readonly LimitPolicy[]): readonly Counted[] {
    return [...new Set(policies.map((policy) => this.#count(policy)))];
  }

  #count(policy: LimitPolicy): Counted {
    const known = this.#counted.get(policy.name);
    if (known !== undefined) {
      if (isSame(known.policy, policy)) return known;
      throw new TypeError(`There are two different limits named ${policy.name}`);
    }
    const counted = { policy, counter: this.#known(policy) ?? this.#begin(policy) };
    this.#counted.set(policy.name, counted);
    return counted;
  }

  /** What an earlier book counts by; a limit may change, what it counts may not. */
  #known(policy: LimitPolicy): Counter | undefined {
    const before = this.#counters.get(policy.name);
    if (before === undefined) return undefined;
    const { limit, by } = policy;
    // A function is another one each time that its file is read.
    const isFunction = typeof by === "function" && typeof before.policy.by === "function";
    const same = { ...before.policy, limit, ...(isFunction ? { by } : {}) };
    if (isSame(same, policy)) return before.counter;
    throw new TypeError(
      `Limit ${policy.name} counts something else than before; give it another name, or restart`,
    );
  }

  #begin(policy: LimitPolicy): Counter {
    const counter = this.#counterOf(policy);
    this.#counters.set(policy.name, { policy, counter });
    return counter;
  }

  #counterOf(policy: LimitPolicy): Counter {
    const { journal, desk } = this.#keepers;
    if (desk !== undefined && (journal === undefined || policy.period !== undefined)) {
      return new LeasedCounter(policy, desk, this.clock, this.elapsed);
    }
    if (policy.period !== undefined) {
      throw new TypeError(`Limit ${policy.name}: a quota needs a store that keeps it`);
    }
    if (journal === undefined) return new WindowTable(policy);
    const table = new WindowTable({ ...policy, ahead: aheadOf(policy) });
    journal.keep(policy, table);
    return table;
  }
}

/** Those that apply to a caller on `plan`. */
export function lateLimits(limits: LimitsOfRoute, plan: string | undefined): readonly Counted[] {
  const { latePerPlan, late } = limits;
  if (latePerPlan.size === 0) return late;
  const own = plan === undefined ? undefined : latePerPlan.get(plan);
  return own ?? latePerPlan.get(defaultPlan) ?? late;
}

function failedPolicy(failed: { readonly limit: number; readonly per: Duration }): LimitPolicy {
  return limitPolicy({ ...failed, name: "failed-authentications" }, "address");
}

/** What limits are counted by: no correction of the clock moves it, where the clock can tell. */
export function elapsedBy(clock: Clock): () => number {
  return () => clock.elapsed?.() ?? clock.now();
}

function isSame(one: LimitPolicy, other: LimitPolicy): boolean {
  const by = (policy: LimitPolicy): unknown =>
    typeof policy.by === "function" ? policy.by : String(policy.by);
  return (
    one.limit === other.limit &&
    one.windowMs === other.windowMs &&
    one.period === other.period &&
    by(one) === by(other)
  );
}
