import type { Attempt } from "../attempt.ts";
import type { RawFields } from "../headers/raw-fields.ts";
import type { AskedRequest } from "./asked.ts";
import { freshened, keptFields, tagsOf, type Entry } from "./entry.ts";
import { fieldsOf, type Fields } from "./fields.ts";
import { Fill, type FillEnd } from "./fill.ts";
import type { Flight, Landing } from "./flights.ts";
import { freshnessOf, policyOf, type Exchanged } from "./freshness.ts";
import type { ResponseCache } from "./response-cache.ts";
import { audienceOf, type Audience } from "./storable.ts";
import { selectionOf } from "./vary.ts";

const noBody: ReadonlySet<number> = new Set([204, 304]);

/** Takes the answer to one GET into the cache, if it may be kept. */
export class Intake {
  readonly #cache: ResponseCache;
  readonly #asked: AskedRequest;
  readonly #requestFields: readonly string[];
  readonly #flight: Flight | undefined;
  readonly #requestedAt: number;
  readonly #epoch: number;
  #isOutdated = false;
  #isOver = false;

  /**
   * @param requestFields of the client as they came.
   * @param flight what others wait for, if the answer is for them too.
   */
  constructor(
    cache: ResponseCache,
    asked: AskedRequest,
    requestFields: readonly string[],
    flight: Flight | undefined,
  ) {
    this.#cache = cache;
    this.#asked = asked;
    this.#requestFields = requestFields;
    this.#flight = flight;
    this.#requestedAt = cache.clock.now();
    this.#epoch = cache.epoch;
    cache.begin(asked.url, this);
  }

  /** What it asks for has changed since. */
  outdate(): void {
    this.#isOutdated = true;
    if (this.#flight !== undefined) this.#cache.flights.leave(this.#flight);
  }

  /** Begins to store the answer, whose head has come; false when it may not be stored. */
  take(attempt: Attempt): boolean {
    const { status, fields: raw } = attempt;
    const fields = fieldsOf(raw);
    const length = Number(fields.get("content-length") ?? 0);
    const audience = this.#admit(status, fields, hasEnd(status, fields) ? length : undefined);
    if (audience === undefined) return false;
    // Some of those who wait may not have it.
    if (audience === "caller" && this.#flight?.key === this.#asked.url) this.#flight.land("alone");
    const receivedAt = this.#cache.clock.now();
    const whenRead = (then: () => void): void => attempt.whenRead(then);
    const fill = new Fill(this.#cache.room, this.#cache.store.maxEntryBytes, whenRead, (end) => {
      if (Buffer.isBuffer(end)) this.#keep({ status, raw, receivedAt, audience, body: end });
      else this.#giveUp(attempt, end);
    });
    attempt.tap(fill);
    this.#hurryFor(attempt, fill);
    return true;
  }

  /** Stores an answer that has come whole; false when it may not be stored. */
  takeWhole(status: number, raw: RawFields, body: Buffer): boolean {
    const audience = this.#admit(status, fieldsOf(raw), body.length);
    if (audience === undefined) return false;
    this.#keep({ status, raw, receivedAt: this.#cache.clock.now(), audience, body });
    return true;
  }

  /** A stored answer still holds: stores it anew with what came now, if it may be kept on. Answers what is to be given. */
  renew(entry: Entry, raw: RawFields): Entry {
    const renewed = freshened(entry, raw, this.#exchanged(), this.#epoch);
    const audience = this.#audienceOf(entry.status, renewed.fields);
    const mayKeep = audience === "all" || (audience === "caller" && entry.caller !== undefined);
    if (!mayKeep || this.#isOutdated) this.#cache.store.remove(entry);
    else this.#cache.keep(renewed.entry);
    this.end(mayKeep ? "kept" : "alone");
    return renewed.entry;
  }

  /** Nothing more comes of it. */
  end(landing: Landing): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cache.end(this.#asked.url, this);
    this.#flight?.land(landing);
  }

  /** Whether an answer is stored, and for whom. @param length of its body, as far as it is known; undefined for one whose end nobody can tell. */
  #admit(status: number, fields: Fields, length: number | undefined): Audience | undefined {
    const isFit = length !== undefined && length <= this.#cache.store.maxEntryBytes;
    const audience = isFit ? this.#audienceOf(status, fields) : undefined;
    const { url } = this.#asked;
    // A request that nobody may wait for says nothing of those that they may.
    if (audience !== undefined || this.#flight !== undefined)
      this.#cache.flights.learn(url, audience);
    if (audience === undefined) this.end("alone");
    return audience;
  }

  #audienceOf(status: number, fields: Fields): Audience | undefined {
    // The client does not want it to be kept (RFC 9111 section 5.2.1.5).
    if (this.#asked.directives.has("no-store")) return undefined;
    const policy = policyOf(fields);
    const freshness = freshnessOf(status, fields, policy, this.#exchanged());
    return audienceOf(this.#asked, status, fields, policy, freshness);
  }

  #exchanged(): Exchanged {
    return { requestedAt: this.#requestedAt, receivedAt: this.#cache.clock.now() };
  }

  #keep(came: {
    readonly status: number;
    readonly raw: RawFields;
    readonly receivedAt: number;
    readonly audience: Audience;
    readonly body: Buffer;
  }): void {
    const { status, raw, receivedAt, body, audience } = came;
    const fields = fieldsOf(raw);
    const policy = policyOf(fields);
    const exchanged = { requestedAt: this.#requestedAt, receivedAt };
    if (!this.#isOutdated) {
      this.#cache.keep({
        url: this.#asked.url,
        caller: audience === "all" ? undefined : this.#asked.caller,
        selection: selectionOf(fields.get("vary"), this.#requestFields),
        status,
        headers: keptFields(raw, fields, policy.directives, receivedAt),
        body,
        freshness: freshnessOf(status, fields, policy, exchanged),
        receivedAt,
        tags: tagsOf(fields),
        epoch: this.#epoch,
      });
    }
    this.end("kept");
  }

  #giveUp(attempt: Attempt, end: Exclude<FillEnd, Buffer>): void {
    if (end === "too large") {
      attempt.untap();
      this.#cache.flights.learn(this.#asked.url, undefined);
      this.end("alone");
    } else this.end(end === "cut" ? "failed" : "given up");
  }

  #hurryFor(attempt: Attempt, fill: Fill): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    fill.isAwaited = flight.isAwaited;
    flight.onJoined = () => {
      fill.isAwaited = true;
      attempt.hurry();
    };
  }
}

/** False for a body that ends with its connection: nobody can tell whether all of it came (RFC 9112 section 8). */
function hasEnd(status: number, fields: Fields): boolean {
  return noBody.has(status) || fields.has("content-length") || fields.has("transfer-encoding");
}
