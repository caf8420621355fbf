import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  createHttpClient,
  type AcknowledgedProject,
  type HttpClient,
  type HttpResponse,
} from "@apiforge/testing";

const retryMs = 25;
const answerDeadlineMs = 60_000;

/** Where {@link ProjectWriter} sends to; asked again for every attempt. */
export type Target = () => string;

/**
 * A client as the contract asks for: one key per project, and the same request again until there is
 * an answer. It keeps every answer that it has received.
 */
export class ProjectWriter implements AsyncDisposable {
  readonly #token: string;
  readonly #target: Target;
  readonly #clients = new Map<string, HttpClient>();
  readonly #acknowledged: AcknowledgedProject[] = [];
  readonly #unanswered = new Set<string>();
  /** Answers other than 201, by status: how often each was met. */
  readonly refusals = new Map<number, number>();

  constructor(token: string, target: Target) {
    this.#token = token;
    this.#target = target;
  }

  /** Every 201 so far, replays included. */
  get acknowledged(): readonly AcknowledgedProject[] {
    return this.#acknowledged;
  }

  /** Sends one project once. Resolves to whether it was acknowledged. */
  async send(key: string = randomUUID()): Promise<boolean> {
    this.#unanswered.add(key);
    const response = await this.#post(key).catch(() => undefined);
    if (response === undefined) return false;
    if (response.status === 201) return this.#acknowledge(key, response);
    this.refusals.set(response.status, (this.refusals.get(response.status) ?? 0) + 1);
    requireRetryable(response);
    return false;
  }

  /**
   * Sends one project until it is acknowledged.
   * @throws Error for an answer that no client could retry on, or when none comes within a minute.
   */
  async sendUntilAcknowledged(key: string = randomUUID()): Promise<void> {
    const startedAt = performance.now();
    while (!(await this.send(key))) {
      if (performance.now() - startedAt > answerDeadlineMs) {
        throw new Error(`No answer under ${key} within ${answerDeadlineMs} ms`);
      }
      await delay(retryMs);
    }
  }

  /** Sends again, with the same key, whatever has no answer yet. */
  async retryUnanswered(): Promise<void> {
    await Promise.all(Array.from(this.#unanswered, (key) => this.sendUntilAcknowledged(key)));
  }

  /**
   * Sends every acknowledged request again.
   * @throws Error unless each is answered as before, byte by byte, and marked as a replay.
   */
  async replayAll(): Promise<void> {
    const first = new Map(this.#acknowledged.map((answer) => [answer.key, answer]));
    for (const answer of first.values()) {
      const response = await this.#post(answer.key);
      const isReplay = response.headers["idempotent-replayed"] === "true";
      const isEqual = response.status === answer.status && response.body === answer.body;
      if (isReplay && isEqual) continue;
      throw new Error(
        `Replay of ${answer.key} (replayed: ${isReplay}): ${response.status} ${response.body}, first ${answer.body}`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) await client.close();
  }

  #post(key: string): Promise<HttpResponse> {
    const target = this.#target();
    let client = this.#clients.get(target);
    if (client === undefined) {
      client = createHttpClient(target);
      this.#clients.set(target, client);
    }
    return client.request({
      method: "POST",
      path: "/api/projects",
      token: this.#token,
      headers: { "idempotency-key": key },
      body: { name: `Project ${key}` },
    });
  }

  #acknowledge(key: string, { status, body, headers }: HttpResponse): true {
    const seq = Number(headers["x-forge-seq"]);
    this.#acknowledged.push({ key, status, body, seq });
    this.#unanswered.delete(key);
    return true;
  }
}

// What a client may meet while servers and databases come and go, and nothing else.
function requireRetryable({ status, headers, body }: HttpResponse): void {
  if ((status === 503 || status === 409) && headers["retry-after"] !== undefined) return;
  throw new Error(`A client cannot retry on ${status} without a reason to: ${body}`);
}
