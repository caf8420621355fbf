import { sql, type Durable, type SqlPiece } from "../../durable/index.ts";
import { newId, type Clock, type Log, type Timer } from "../../kernel/index.ts";

const flushMs = 60_000;
/** Keys of one statement. */
const keysPerCommit = 500;

/** What the notes are kept with. */
export interface KeyUsageParts {
  readonly durable: Pick<Durable, "transact">;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * When keys were used last, noted in memory and written once a minute: a write per request would
 * cost more than the request. A process that is killed loses the notes of its last minute.
 */
export class KeyUsage {
  readonly #parts: KeyUsageParts;
  #usedAt = new Map<string, number>();
  #timer: Timer | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(parts: KeyUsageParts) {
    this.#parts = parts;
  }

  /** Notes that the key `id` was used now. */
  note(id: string): void {
    const { clock } = this.#parts;
    this.#usedAt.set(id, clock.now());
    this.#timer ??= clock.after(flushMs, () => void this.flush());
  }

  /** Writes what was noted. Never throws: what cannot be written is written with the next notes. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const { durable, log } = this.#parts;
    const notes = [...this.#usedAt];
    this.#usedAt = new Map();
    for (let start = 0; start < notes.length; start += keysPerCommit) {
      const written = notes.slice(start, start + keysPerCommit);
      const actor = { tenant: "system", requestId: newId("req") };
      try {
        await durable.transact("last use of keys", actor, (tx) => tx.sql`${update(written)}`);
      } catch (error) {
        log.warn({ err: error }, "the last use of API keys could not be written");
        for (const [id, at] of written) if (!this.#usedAt.has(id)) this.#usedAt.set(id, at);
      }
    }
  }
}

/** Another node may have written a later use. */
function update(notes: readonly (readonly [string, number])[]): SqlPiece {
  const rows = notes
    .map(([id, at]) => sql`(${id}, cast(${at} as bigint))`)
    .reduce((before, row) => sql`${before}, ${row}`);
  return sql`
    with used (id, at) as (values ${rows})
    update forge_api_keys set last_used_at = used.at from used
    where forge_api_keys.id = used.id and coalesce(forge_api_keys.last_used_at, 0) < used.at`;
}
