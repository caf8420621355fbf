import type { Clock, Timer } from "../../kernel/index.ts";
import type { Lease, LeaseSpan } from "../../store/index.ts";
import { edgeError } from "../errors.ts";
import type { Counter, Standing } from "./counter.ts";
import type { LeaseDesk } from "./lease-desk.ts";
import type { LimitPolicy } from "./policy.ts";

/** A block of one subject, and what was said of the subject with it. */
interface Block {
  /** Negative where more was taken than is asked for first (failed authentications). */
  left: number;
  /** The run that it is of. */
  readonly endsAt: number;
  /** It may be used before these instants, whichever clock gets there first: one stands still while a machine sleeps. */
  readonly untilMs: number;
  readonly untilAt: number;
  /** What nobody had taken when it was given. */
  readonly elsewhere: number;
  readonly resetAtMs: number;
  /** Until then no more is asked for. */
  readonly refusedUntilMs: number;
  readonly ahead: number;
  usedAtMs: number;
}

/** Of a subject whose block was given back. */
const nothing: Block = {
  left: 0,
  endsAt: Number.NaN,
  untilMs: Number.NEGATIVE_INFINITY,
  untilAt: Number.NEGATIVE_INFINITY,
  elsewhere: 0,
  resetAtMs: 0,
  refusedUntilMs: 0,
  ahead: 0,
  usedAtMs: 0,
};

interface Asking {
  readonly answered: Promise<void>;
  needed: number;
  isSent: boolean;
}

/** Slots of a window, and of a run; see docs/adr/0016. */
const windowSlots = 128;
const leastSlotMs = 50;
/** A refusal of a quota is asked about again after this: another node may have given something back. */
const longestRefusalMs = 1_000;
/** What a caller of a quota has not used for this long is given back. */
const idleMs = 5_000;
const mostAhead = 1_000;
/** Blocks that came too late to be used, one after the other, before a request is refused for it. */
const lateTries = 3;
/** Clocks show whole milliseconds: what is left of a block may seem this much more than it is. */
const clockStepMs = 1;

/** How `policy` is given out. */
function spanOf({ windowMs, period }: LimitPolicy): LeaseSpan {
  if (period !== undefined) return { period };
  return { windowMs, slotMs: Math.max(leastSlotMs, Math.ceil(windowMs / windowSlots)) };
}

/**
 * Counts a policy out of blocks that are leased from what all nodes share. {@link prepare} gets one;
 * what it is asked right after is then decided without waiting.
 */
export class LeasedCounter implements Counter {
  #policy: LimitPolicy;
  readonly #span: LeaseSpan;
  readonly #desk: LeaseDesk;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #blocks = new Map<string, Block>();
  readonly #asking = new Map<string, Asking>();
  readonly #tidyEveryMs: number;
  readonly #refusalMs: number;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(policy: LimitPolicy, desk: LeaseDesk, clock: Clock, elapsed: () => number) {
    this.#policy = policy;
    this.#span = spanOf(policy);
    this.#desk = desk;
    this.#clock = clock;
    this.#elapsed = elapsed;
    this.#tidyEveryMs = "period" in this.#span ? idleMs : 2 * this.#span.slotMs;
    this.#refusalMs = Math.min(longestRefusalMs, this.#tidyEveryMs / 2);
  }

  /** Subjects in memory. */
  get size(): number {
    return this.#blocks.size;
  }

  /**
   * Undefined when it is known whether `subject` has one left; else what to wait for before asking again.
   * @throws (rejects) what the store throws, and `limits_unavailable` when it answers too slowly.
   */
  prepare(subject: string, elapsedMs: number): Promise<void> | undefined {
    const block = this.#blocks.get(subject);
    if (block !== undefined) {
      if (block.left > 0 && this.#isUsable(block, elapsedMs)) return undefined;
      if (elapsedMs < block.refusedUntilMs) return undefined;
    }
    const asking = this.#asking.get(subject);
    if (asking === undefined) return this.#ask(subject);
    // One that is on its way was made for those who waited then: whoever comes later asks again.
    if (!asking.isSent) asking.needed++;
    return asking.answered;
  }

  look(subject: string, elapsedMs: number): Standing {
    const block = this.#blocks.get(subject);
    if (block === undefined) return { remaining: 0, resetInMs: 0 };
    const resetInMs = Math.max(0, block.resetAtMs - elapsedMs);
    // What others may still get is nothing that this block can give.
    if (block.left <= 0 || !this.#isUsable(block, elapsedMs)) return { remaining: 0, resetInMs };
    return { remaining: block.left + block.elsewhere, resetInMs };
  }

  tell(subject: string, elapsedMs: number): Standing {
    const block = this.#blocks.get(subject);
    if (block === undefined) return { remaining: 0, resetInMs: 0 };
    const remaining = Math.max(0, block.left) + block.elsewhere;
    return { remaining, resetInMs: Math.max(0, block.resetAtMs - elapsedMs) };
  }

  take(subject: string, elapsedMs: number): number {
    let block = this.#blocks.get(subject);
    if (block === undefined) {
      block = { ...nothing, usedAtMs: elapsedMs };
      this.#blocks.set(subject, block);
    }
    // Looked at long ago: what is spent now belongs to a later run, so it is owed to the next block.
    if (elapsedMs >= block.untilMs) block.left = Math.min(0, block.left);
    block.left--;
    block.usedAtMs = elapsedMs;
    return block.endsAt;
  }

  giveBack(subject: string, receipt: number): void {
    const block = this.#blocks.get(subject);
    if (block?.endsAt === receipt) block.left++;
  }

  /** What was leased by the limit before is used up or given back; from now on blocks are of this one. */
  resize(limit: number): void {
    this.#policy = { ...this.#policy, limit };
  }

  /** How a subject stands for all nodes; takes nothing. */
  async standing(subject: string): Promise<Standing> {
    const look = { ...this.#ofSubject(subject), needed: 0, ahead: 0 };
    const { remaining, resetInMs } = await this.#desk.ask(() => look);
    const block = this.#blocks.get(subject);
    const left = block && this.#isUsable(block, this.#elapsed()) ? Math.max(0, block.left) : 0;
    return { remaining: remaining + left, resetInMs };
  }

  /** Gives back what is left of all blocks. Nothing may be taken afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const [subject, block] of this.#blocks) this.#return(subject, block);
    this.#blocks.clear();
    await this.#desk.idle();
  }

  #isUsable(block: Block, elapsedMs: number): boolean {
    return elapsedMs < block.untilMs && this.#clock.now() < block.untilAt;
  }

  #ofSubject(subject: string) {
    const { name: policy, limit } = this.#policy;
    // PostgreSQL stores no NUL.
    return { policy, subject: subject.replaceAll("\0", "\u{fffd}"), limit, span: this.#span };
  }

  #ask(subject: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const asking: Asking = { answered: promise, needed: 1, isSent: false };
    this.#asking.set(subject, asking);
    this.#lease(subject, asking)
      .finally(() => this.#asking.delete(subject))
      .then(resolve, reject);
    return promise;
  }

  async #lease(subject: string, asking: Asking): Promise<void> {
    for (let tries = 0; tries < lateTries; tries++) {
      let sentMs = 0;
      let sentAt = 0;
      let ahead = 0;
      const lease = await this.#desk.ask(() => {
        asking.isSent = true;
        sentMs = this.#elapsed();
        sentAt = this.#clock.now();
        const known = this.#blocks.get(subject);
        const needed = asking.needed + Math.max(0, -(known?.left ?? 0));
        ahead = this.#aheadAfter(known, sentMs);
        return { ...this.#ofSubject(subject), needed, ahead, ...this.#takeRest(known) };
      });
      const block = this.#blockOf(
        lease,
        asking,
        { sentMs, sentAt, ahead },
        this.#blocks.get(subject),
      );
      this.#blocks.set(subject, block);
      this.#tidyLater();
      if (lease.granted === 0 || this.#isUsable(block, this.#elapsed())) return;
    }
    throw edgeError("limits_unavailable", "Requests cannot be counted right now; try again", {
      retryAfterSeconds: 1,
    });
  }

  #blockOf(
    { granted, endsAt, usableMs, remaining, resetInMs }: Lease,
    { needed }: Asking,
    { sentMs, sentAt, ahead }: { sentMs: number; sentAt: number; ahead: number },
    known: Block | undefined,
  ): Block {
    const refusedMs = granted < needed ? Math.min(resetInMs, this.#refusalMs) : 0;
    return {
      // Nothing is positive there: the rest went back with the ask, or came meanwhile by giveBack.
      left: granted + (known?.endsAt === endsAt ? known.left : Math.min(0, known?.left ?? 0)),
      endsAt,
      untilMs: sentMs + usableMs - clockStepMs,
      untilAt: sentAt + usableMs - clockStepMs,
      elsewhere: remaining,
      resetAtMs: sentMs + resetInMs,
      refusedUntilMs: this.#elapsed() + refusedMs,
      ahead,
      usedAtMs: this.#elapsed(),
    };
  }

  /** Who uses blocks up gets larger ones, a sixteenth of the limit at most; who does not, smaller ones. */
  #aheadAfter(known: Block | undefined, elapsedMs: number): number {
    if (known === undefined) return 0;
    const most = Math.min(mostAhead, Math.floor(this.#policy.limit / 16));
    const isUsedUp = known.left <= 0 && this.#isUsable(known, elapsedMs);
    return isUsedUp ? Math.min(most, 2 * known.ahead + 1) : Math.floor(known.ahead / 2);
  }

  /** What is left of a block, to be given back: from now on nobody takes it. */
  #takeRest(block: Block | undefined) {
    if (block === undefined || block.left <= 0) return {};
    const back = { endsAt: block.endsAt, count: block.left };
    block.left = 0;
    return { back };
  }

  #return(subject: string, block: Block): void {
    const rest = this.#takeRest(block);
    if (!("back" in rest)) return;
    const ask = { ...this.#ofSubject(subject), needed: 0, ahead: 0, ...rest };
    // Should it get lost, it counts as used.
    this.#desk.ask(() => ask).catch(() => undefined);
  }

  #tidyLater(): void {
    if (this.#isClosed) return;
    this.#timer ??= this.#clock.after(this.#tidyEveryMs, () => {
      this.#timer = undefined;
      this.#tidy(this.#elapsed());
      if (this.#blocks.size > 0) this.#tidyLater();
    });
  }

  /** Gives back what is not used, and forgets who has nothing. */
  #tidy(elapsedMs: number): void {
    for (const [subject, block] of this.#blocks) {
      if (this.#asking.has(subject)) continue;
      const isIdle = elapsedMs - block.usedAtMs >= this.#tidyEveryMs;
      if (this.#isUsable(block, elapsedMs) && !isIdle) continue;
      this.#return(subject, block);
      // What was overdrawn is asked for with the next block.
      if (block.left === 0 && elapsedMs >= block.refusedUntilMs) this.#blocks.delete(subject);
    }
  }
}
