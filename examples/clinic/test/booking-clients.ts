import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { createHttpClient, type HttpClient, type HttpResponse } from "@apiforge/testing";

import type { Confirmed } from "./booking-invariants.ts";

const retryMs = 25;
const answerDeadlineMs = 60_000;

/** Agents who book against each other, each request until it is answered, over any number of servers. */
export class BookingClients implements AsyncDisposable {
  readonly confirmed: Confirmed[] = [];
  /** Bookings that were answered by `slot_unavailable`. */
  taken = 0;
  readonly #token: string;
  readonly #target: () => string;
  readonly #slots: () => string;
  readonly #clients = new Map<string, HttpClient>();
  readonly #stopping = new AbortController();
  readonly #working: Promise<void[]>;

  /** `slots` names the slot that is booked next; equal ones make rivals. */
  constructor(count: number, token: string, target: () => string, slots: () => string) {
    this.#token = token;
    this.#target = target;
    this.#slots = slots;
    this.#working = Promise.all(Array.from({ length: count }, () => this.#work()));
    // A client that fails is reported by `stop`.
    this.#working.catch(() => undefined);
  }

  /** Lets each client have its last answer. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
  }

  /** Sends every confirmed booking again and answers those that were not answered as before. */
  async findChangedReplays(): Promise<string[]> {
    const changed: string[] = [];
    for (const { key, slotId, body } of this.confirmed) {
      const replay = await this.#post(key, slotId);
      if (replay.status !== 201 || replay.body !== body) changed.push(`${key}: ${replay.body}`);
    }
    return changed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    for (const client of this.#clients.values()) await client.close();
  }

  async #work(): Promise<void> {
    while (!this.#stopping.signal.aborted) await this.#book(randomUUID(), this.#slots());
  }

  async #book(key: string, slotId: string): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      const answer = await this.#post(key, slotId).catch(() => undefined);
      if (answer !== undefined && this.#settles(answer, key, slotId)) return;
      if (performance.now() - startedAt > answerDeadlineMs) {
        throw new Error(`No answer under ${key} within ${answerDeadlineMs} ms`);
      }
      await delay(retryMs);
    }
  }

  #settles({ status, body, headers }: HttpResponse, key: string, slotId: string): boolean {
    if (status === 201) {
      this.confirmed.push({ key, slotId, body, seq: Number(headers["x-forge-seq"]) });
      return true;
    }
    if (status === 409 && body.includes('"slot_unavailable"')) {
      this.taken += 1;
      return true;
    }
    if ((status === 503 || status === 409) && headers["retry-after"] !== undefined) return false;
    throw new Error(`A client cannot go on after ${status}: ${body}`);
  }

  #post(key: string, slotId: string): Promise<HttpResponse> {
    const target = this.#target();
    const client = this.#clients.get(target) ?? createHttpClient(target);
    this.#clients.set(target, client);
    return client.request({
      method: "POST",
      path: "/appointments",
      token: this.#token,
      headers: { "x-idempotency-key": key },
      body: { patientId: "pat_789", slotId, type: "comprehensive_exam" },
    });
  }
}
