import { ApiForgeError, reach, type Clock } from "../kernel/index.ts";
import type { IdempotencyRecord, KeyClaim, Store, StoredAnswer } from "../store/index.ts";
import type { Answer, IdempotencyKey, WriteOutcome, WriteRequest } from "./execute.ts";
import { createTransaction, type OwnTransaction, type Transaction } from "./transaction.ts";

/** Thrown inside a transaction to leave it without effects when the key was answered before. */
class KeyNotFree extends Error {
  readonly claim: Exclude<KeyClaim, { outcome: "free" }>;

  constructor(claim: Exclude<KeyClaim, { outcome: "free" }>) {
    super("The key is not free");
    this.claim = claim;
  }
}

/** Thrown inside a transaction to leave it without effects when the handler answered 5xx. */
class ServerFailure extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super("The handler answered 5xx");
    this.answer = answer;
  }
}

/**
 * Runs writing requests: one request, one commit. With an idempotency key the answer is part of
 * that commit, so a replayed answer always tells of effects that exist, and a request that left no
 * answer left no effects.
 */
export class Executor {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #onCommit: () => void;
  /** Keys that this process is at work on, by digest. */
  readonly #inFlight = new Set<string>();

  /** @param onCommit called after each commit that may have left work, to wake whoever does it. */
  constructor(store: Store, clock: Clock, onCommit: () => void) {
    this.#store = store;
    this.#clock = clock;
    this.#onCommit = onCommit;
  }

  /**
   * Executes `request`, or answers from the record of an earlier one.
   * @throws whatever the handler threw that {@link WriteRequest.refuse} does not answer (nothing
   * was stored), and the store's errors.
   */
  async execute(request: WriteRequest): Promise<WriteOutcome> {
    reach("after-accept");
    const { idempotency } = request;
    if (idempotency === undefined) {
      await request.prepare?.(false);
      return this.#run(request);
    }
    const id = idempotency.digest.toString("latin1");
    if (this.#inFlight.has(id)) return { outcome: "in_flight" };
    this.#inFlight.add(id);
    try {
      if (request.prepare !== undefined) {
        const answer = await this.#store.idempotency.find(idempotency.digest);
        await request.prepare(answer !== undefined);
      }
      return await this.#run(request);
    } finally {
      this.#inFlight.delete(id);
    }
  }

  async #run(request: WriteRequest): Promise<WriteOutcome> {
    try {
      return await this.#commit(request, (tx) => request.run(tx));
    } catch (error) {
      if (error instanceof ServerFailure)
        return { outcome: "fresh", answer: error.answer, seq: undefined };
      return (await this.#settled(request, error)) ?? this.#refuse(request, error);
    }
  }

  /** A refusal is recorded like an answer, without the effects that the handler had before it threw. */
  async #refuse(request: WriteRequest, error: unknown): Promise<WriteOutcome> {
    const answer = request.refuse(error);
    if (answer === undefined) throw error;
    if (request.idempotency === undefined) return { outcome: "fresh", answer, seq: undefined };
    try {
      return await this.#commit(request, async () => answer);
    } catch (recordError) {
      const outcome = await this.#settled(request, recordError);
      if (outcome === undefined) throw recordError;
      return outcome;
    }
  }

  async #commit(
    request: WriteRequest,
    run: (tx: Transaction) => Promise<Answer>,
  ): Promise<WriteOutcome> {
    const { idempotency } = request;
    let tx: OwnTransaction | undefined;
    const { value, seq } = await this.#store.transact(request.label, async (storeTx) => {
      if (idempotency !== undefined) {
        const claim = await storeTx.claimKey(idempotency.digest);
        if (claim.outcome !== "free") throw new KeyNotFree(claim);
      }
      tx = createTransaction(storeTx, request, this.#clock.now());
      const answer = await run(tx);
      // A 5xx is never recorded, so that a retry runs again; then its effects must not stay either.
      if (answer.status >= 500) throw new ServerFailure(answer);
      if (idempotency !== undefined) storeTx.recordAnswer(toRecord(idempotency, answer));
      return answer;
    });
    if (tx?.leavesWork === true) this.#onCommit();
    return { outcome: "fresh", answer: value, seq };
  }

  /**
   * The outcome when the key decides it: another request holds or answered it, or the commit's own
   * fate is unknown and the record tells. Undefined when `error` is not about the key.
   */
  async #settled(request: WriteRequest, error: unknown): Promise<WriteOutcome | undefined> {
    const { idempotency } = request;
    if (idempotency === undefined) return undefined;
    if (error instanceof KeyNotFree) return decided(error.claim, idempotency);
    if (!ApiForgeError.is(error) || !decidedByRecord.has(error.code)) return undefined;
    const answer = await this.#store.idempotency.find(idempotency.digest);
    if (answer === undefined) throw error;
    return decided({ outcome: "recorded", answer }, idempotency);
  }
}

const decidedByRecord: ReadonlySet<string> = new Set([
  "idempotency_key_taken",
  "commit_outcome_unknown",
]);

function toRecord(idempotency: IdempotencyKey, answer: Answer): IdempotencyRecord {
  return { ...idempotency, status: answer.status, headers: answer.headers, body: answer.body };
}

function decided(
  claim: Exclude<KeyClaim, { outcome: "free" }>,
  idempotency: IdempotencyKey,
): WriteOutcome {
  if (claim.outcome === "in_flight") return { outcome: "in_flight" };
  if (!sameBytes(claim.answer.fingerprint, idempotency.fingerprint)) {
    return { outcome: "mismatch" };
  }
  return { outcome: "replayed", answer: toAnswer(claim.answer), seq: claim.answer.seq };
}

function toAnswer(stored: StoredAnswer): Answer {
  return { status: stored.status, headers: stored.headers, body: stored.body };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
