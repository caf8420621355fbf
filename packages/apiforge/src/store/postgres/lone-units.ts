import { reach, type Clock } from "../../kernel/index.ts";
import type { Committed, StoreTransaction } from "../contract.ts";
import { appendAudit } from "./audit.ts";
import { saveConsumer } from "./consumers.ts";
import { appendEvents, headCommand, lastSeq, type EventLog } from "./events.ts";
import { insertAnswer } from "./idempotency.ts";
import { insertJobs } from "./job-statements.ts";
import type { Labels } from "./labels.ts";
import { LoneSession } from "./lone-session.ts";
import type { Member } from "./member.ts";
import type { ConnectionPool } from "./pool.ts";
import type { TenantGuard } from "./tenant-guard.ts";
import { PostgresTransaction } from "./transaction.ts";

/** What lone units are made of. */
export interface LoneParts {
  readonly pool: ConnectionPool;
  readonly log: EventLog;
  readonly labels: Labels;
  readonly clock: Clock;
  readonly guard: TenantGuard | undefined;
}

/** Units of work that have a connection and a commit of their own. */
export class LoneUnits {
  readonly #parts: LoneParts;
  #commits = 0;

  constructor(parts: LoneParts) {
    this.#parts = parts;
  }

  /** Units that were committed. */
  get commits(): number {
    return this.#commits;
  }

  /** Runs `work` in a transaction; resolves when its commit is on disk. */
  run<T>(label: string, work: (tx: StoreTransaction) => Promise<T>): Promise<Committed<T>> {
    let tx: PostgresTransaction | undefined;
    return this.#parts.pool.use(
      label,
      (connection) => {
        const session = new LoneSession(connection, this.#parts.clock);
        const begun = new PostgresTransaction(session, this.#parts.log, this.#parts.guard);
        tx = begun;
        return this.#complete(label, session, begun, () => work(begun));
      },
      { onCut: () => tx?.end() },
    );
  }

  /** Gives a member of a group a connection of its own and commits it there. */
  async resume({ unit, seat, tx, ending }: Member): Promise<Committed<unknown>> {
    const { label } = unit;
    const finish = async (session: LoneSession): Promise<unknown> => {
      await seat.move(session);
      const ended = await ending;
      if (ended.outcome === "threw") throw ended.error;
      return ended.value;
    };
    try {
      return await this.#parts.pool.use(
        label,
        (connection) => {
          const session = new LoneSession(connection, this.#parts.clock);
          return this.#complete(label, session, tx, () => finish(session));
        },
        { onCut: () => tx.end(), accepted: true },
      );
    } catch (error) {
      seat.refuse(error);
      throw error;
    }
  }

  async #complete<T>(
    label: string,
    session: LoneSession,
    tx: PostgresTransaction,
    work: () => Promise<T>,
  ): Promise<Committed<T>> {
    try {
      const value = await work();
      reach("before-commit");
      const seq = await commit(tx, session);
      reach("after-commit");
      this.#commits += 1;
      this.#parts.labels.observe(label, session.conduct("committed"));
      return { value, seq };
    } catch (error) {
      tx.end();
      this.#parts.labels.observe(label, session.conduct("failed"));
      await session.rollback();
      throw error;
    }
  }
}

/** Ends `tx`, writes what it put into its commit and commits; answers the log position to report. */
async function commit(tx: PostgresTransaction, session: LoneSession): Promise<number> {
  tx.end();
  // A handler that caught the error of a statement cannot have what the statement undid.
  if (tx.failure !== undefined) throw tx.failure.error;
  const { audit, events, record, cursors, jobs, lanes } = tx.effects;
  const answersSeq = events.length > 0 || record !== undefined;
  // Locks of lanes are taken here, all at once, so that no handler holds one while it works; the
  // log's is held from the append to the commit, so that comes last.
  const writes = [
    ...[...cursors].map(([name, cursor]) => saveConsumer(name, cursor)),
    ...(audit.length === 0 ? [] : [appendAudit(audit)]),
    ...insertJobs(jobs),
    ...lanes.commands(),
    ...(events.length > 0 ? [appendEvents(events)] : []),
    ...(record === undefined ? [] : [insertAnswer(record, events.length > 0)]),
  ];
  try {
    return lastSeq(await session.commit(writes, answersSeq ? [] : [headCommand]));
  } catch (error) {
    // A statement that nobody waited for has failed before, which is what to look into.
    throw failureOf(tx) ?? error;
  }
}

function failureOf(tx: PostgresTransaction): unknown {
  return tx.failure?.error;
}
