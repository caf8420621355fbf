import type { Clock, Log, Timer } from "../../kernel/index.ts";
import { backoffDelayMs, exponential } from "../../resilience/index.ts";
import {
  auditSealerName,
  sealsAfter,
  type AuditSeal,
  type Store,
  type StoreTransaction,
} from "../../store/index.ts";
import { sql } from "../sql.ts";
import { anchorText } from "./anchor.ts";

/** Entries that one commit seals. */
const sealEntries = 500;
/** How often the log is told of the chain's end while it grows. */
const anchorEveryMs = 60_000;
const waiting = sql`select 1 from forge_audit_unsealed limit 1`;
const retryPolicy = exponential("1s", { max: "1m" });

/** What a sealer is made of. */
export interface SealerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** How often it looks for entries: how long one waits at most for its seal. */
  readonly pollMs: number;
  readonly random: () => number;
}

/**
 * Chains committed audit entries, one process at a time. Requests do not wait for it: the chain has
 * one end, and a commit that took it would make every other commit with an entry wait for its disk.
 */
export class AuditSealer {
  readonly #parts: SealerParts;
  #timer: Timer | undefined;
  #loop: Promise<void> | undefined;
  #stopped = true;
  #failures = 0;
  #anchor: AuditSeal | undefined;
  #anchoredAt = Number.NEGATIVE_INFINITY;

  constructor(parts: SealerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#stopped = false;
    this.#loop ??= this.#run();
  }

  /** Seals what is there, so that a server that stops in order leaves nothing open. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#loop;
    await this.#pass();
    this.#tellAnchor(0);
  }

  async #run(): Promise<void> {
    const waitMs = await this.#pass();
    this.#tellAnchor(anchorEveryMs);
    this.#loop = undefined;
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(waitMs, () => {
      this.#loop ??= this.#run();
    });
  }

  /** Seals until nothing waits; answers how long to wait for the next look. */
  async #pass(): Promise<number> {
    const { store, pollMs, log, random } = this.#parts;
    try {
      // Mostly there is nothing, and asking is cheaper than a transaction.
      while (await this.#waits()) {
        const { value: sealed } = await store.transact("seal audit log", (tx) => this.#seal(tx));
        if (sealed < sealEntries) break;
      }
      this.#failures = 0;
      return pollMs;
    } catch (error) {
      this.#failures += 1;
      const delayMs = backoffDelayMs(retryPolicy, Math.min(this.#failures, 30), random);
      log.error({ error, failures: this.#failures, delayMs }, "the audit log could not be sealed");
      return delayMs;
    }
  }

  async #waits(): Promise<boolean> {
    const rows = await this.#parts.store.read("unsealed audit entries", (reader) =>
      reader.query(waiting),
    );
    return rows.length > 0;
  }

  async #seal(tx: StoreTransaction): Promise<number> {
    const state = await tx.lockConsumer(auditSealerName);
    if (state === undefined) return 0;
    const { head, entries } = await tx.audit.pending(sealEntries);
    requireWhole(head, state.cursor);
    const seals = sealsAfter(head, entries);
    const last = seals.at(-1);
    if (last === undefined) return 0;
    await tx.audit.seal(seals);
    await tx.advanceConsumer(auditSealerName, last.position);
    this.#anchor = last;
    return seals.length;
  }

  /** What lies outside of the database can tell whether its end was cut off. */
  #tellAnchor(everyMs: number): void {
    const { clock, log } = this.#parts;
    if (this.#anchor === undefined || clock.now() - this.#anchoredAt < everyMs) return;
    log.info({ anchor: anchorText(this.#anchor) }, "audit log sealed");
    this.#anchor = undefined;
    this.#anchoredAt = clock.now();
  }
}

/** To go on after a chain whose end is gone would hide that it is gone. */
function requireWhole(head: AuditSeal | undefined, sealed: number): void {
  const position = head?.position ?? 0;
  if (position === sealed) return;
  throw new Error(
    `The chain of the audit log ends at ${position}, where ${sealed} entries were sealed; verify it`,
  );
}
