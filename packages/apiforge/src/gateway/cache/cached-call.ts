import { plainAnswer, type Exchange, type Outgoing, type Responder } from "../../edge/index.ts";
import { ApiForgeError } from "../../kernel/index.ts";
import { Attempt } from "../attempt.ts";
import { ShapedAnswer } from "../shaping-answer.ts";
import { gatewayError } from "../errors.ts";
import { askedRequest, type AskedRequest } from "./asked.ts";
import { conditions, type CachePlan } from "./cache-plan.ts";
import { forwardedStatus, hitStatus, type Forwarded } from "./cache-status.ts";
import { isAbout, storedField, validators, withoutTags, type Entry } from "./entry.ts";
import { fieldsOf } from "./fields.ts";
import type { Flight, Landing } from "./flights.ts";
import { remainingMs } from "./freshness.ts";
import { Intake } from "./intake.ts";
import { Refresh } from "./refresh.ts";
import { mayStandIn, reuseOf } from "./reuse.ts";
import { StoredAnswer } from "./stored-answer.ts";

/** nginx' own, known to whoever reads logs: the client went before its answer. */
const clientGone = 499;
/** Failures that a stored answer may stand in for (RFC 5861 section 4). */
const failures: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/** One GET or HEAD of a cached route. */
export class CachedCall implements Responder {
  readonly #plan: CachePlan;
  readonly #exchange: Exchange;
  readonly #responder: Responder;
  readonly #asked: AskedRequest;
  /** Stored, and in need of the upstream's word. */
  #stored: Entry | undefined;
  #validates = false;
  #why: Forwarded = "uri-miss";
  #intake: Intake | undefined;

  constructor(plan: CachePlan, exchange: Exchange, responder: Responder) {
    this.#plan = plan;
    this.#exchange = exchange;
    this.#responder = responder;
    this.#asked = askedRequest(exchange, plan.trustedPeers, plan.withheld);
  }

  /** Answers out of the cache, or asks the upstream. */
  begin(): void {
    const { cache } = this.#plan;
    if (cache.isFresh()) return this.#decide(true);
    cache
      .refresh()
      // Who cannot see what was purged trusts nothing that is stored.
      .then(
        () => this.#decide(true),
        () => this.#bypass(),
      )
      .catch((error: unknown) => this.#responder.refuse(this.#exchange, error));
  }

  /** @see {Responder}: the upstream's answer. */
  answer(exchange: Exchange, outgoing: Outgoing): void {
    const { selfWritten } = outgoing;
    if (selfWritten instanceof ShapedAnswer) return this.#passShaped(selfWritten, outgoing);
    if (!(selfWritten instanceof Attempt)) {
      this.#intake?.end("given up");
      return this.#responder.answer(exchange, outgoing);
    }
    const { status } = selfWritten;
    const stored = this.#stored;
    if (stored !== undefined && status === 304 && this.#validates) {
      return this.#renew(stored, selfWritten);
    }
    if (stored !== undefined && failures.has(status) && this.#mayStandIn(stored)) {
      selfWritten.abandon();
      return this.#standIn(stored, status);
    }
    const isStored = this.#intake?.take(selfWritten) ?? false;
    if (stored !== undefined && !isStored) this.#compare(stored, selfWritten);
    selfWritten.fields = withoutTags(selfWritten.fields);
    this.#pass(outgoing, isStored);
  }

  /** @see {Responder}: there is no answer of the upstream. */
  refuse(exchange: Exchange, error: unknown): void {
    const stored = this.#stored;
    const status = error instanceof ApiForgeError ? error.status : undefined;
    if (stored !== undefined && failures.has(status ?? 0) && this.#mayStandIn(stored)) {
      return this.#standIn(stored, undefined);
    }
    this.#intake?.end("failed");
    exchange.putHeader("cache-status", forwardedStatus(this.#why, { status: undefined }));
    this.#responder.refuse(exchange, error);
  }

  /** An answer of which its route has made another one: that is what is stored. */
  #passShaped({ reply }: ShapedAnswer, outgoing: Outgoing): void {
    const { status, fields, body } = reply;
    const isStored = this.#intake?.takeWhole(status, fields, Buffer.from(body)) ?? false;
    const passed = { ...reply, fields: withoutTags(fields) };
    this.#pass(
      { ...outgoing, selfWritten: new ShapedAnswer(passed, this.#isPersonal()) },
      isStored,
    );
  }

  #pass(outgoing: Outgoing, isStored: boolean): void {
    const { status } = outgoing.answer;
    this.#exchange.putHeader("cache-status", forwardedStatus(this.#why, { status, isStored }));
    this.#responder.answer(this.#exchange, outgoing);
  }

  /** Other caches must not keep what is answered, unless it says otherwise. */
  #isPersonal(): boolean {
    return this.#exchange.route?.auth !== "none";
  }

  #decide(mayJoin: boolean): void {
    const { cache } = this.#plan;
    const { url, caller, directives } = this.#asked;
    const now = cache.clock.now();
    const stored = cache.store.find(url, caller, this.#exchange.request.raw.rawHeaders);
    this.#why = cache.store.knows(url) ? "vary-miss" : "uri-miss";
    if (stored !== undefined && !directives.has("no-store")) {
      const reuse = reuseOf(stored.freshness, directives, now);
      if (reuse !== "validate") return this.#hit(stored, reuse === "behind");
      this.#why = isFresh(stored, now) ? "request" : "stale";
    } else if (stored !== undefined) this.#why = "request";
    this.#stored = stored;
    if (directives.has("only-if-cached")) return this.#refuseMiss();
    this.#forward(mayJoin);
  }

  #bypass(): void {
    this.#why = "bypass";
    this.#call(undefined);
  }

  #hit(stored: Entry, refreshes: boolean): void {
    const { cache } = this.#plan;
    const ttlMs = remainingMs(stored.freshness, cache.clock.now());
    this.#serve(stored, hitStatus(ttlMs));
    if (refreshes && this.#exchange.method === "GET") this.#refresh(stored);
  }

  #serve(stored: Entry, cacheStatus: string): void {
    const exchange = this.#exchange;
    const isPersonal = exchange.route?.auth !== "none";
    const now = this.#plan.cache.clock.now();
    const selfWritten = new StoredAnswer(
      stored,
      exchange.method,
      exchange.headers,
      now,
      isPersonal,
    );
    const giveBack = this.#plan.cache.store.lend(stored);
    if (giveBack !== undefined) exchange.reply.raw.once("close", giveBack);
    exchange.putHeader("cache-status", cacheStatus);
    this.#responder.answer(exchange, { ...plainAnswer(selfWritten.status), selfWritten });
  }

  /** Asks the upstream, or waits for another request that has asked it. */
  #forward(mayJoin: boolean): void {
    const { cache } = this.#plan;
    const stored = this.#stored;
    const asking = stored && this.#plan.validates ? validators(stored) : undefined;
    this.#validates = asking !== undefined;
    const { method } = this.#exchange;
    if (method === "HEAD") return this.#call(asking);
    const flight = mayJoin && this.#isForOthers() ? this.#flight() : undefined;
    if (flight === "joined") return;
    const { rawHeaders } = this.#exchange.request.raw;
    this.#intake = new Intake(cache, this.#asked, rawHeaders, flight);
    this.#call(asking);
  }

  #call(asking: readonly string[] | undefined): void {
    const changes =
      asking === undefined ? undefined : { without: conditions, fields: asking, isDetached: false };
    this.#plan.call(this.#exchange, this, changes).begin();
  }

  /** What the upstream answers may be an answer to others who ask now. */
  #isForOthers(): boolean {
    const { directives } = this.#asked;
    if (directives.has("no-store") || directives.has("no-cache")) return false;
    if (this.#validates) return true;
    const { headers } = this.#exchange;
    return ![...conditions].some((name) => headers[name] !== undefined);
  }

  #flight(): Flight | "joined" | undefined {
    const { cache } = this.#plan;
    const key = cache.flights.keyFor(this.#asked.url, this.#asked.caller);
    if (key === undefined) return undefined;
    const flight = cache.flights.find(key, cache.epoch);
    if (flight === undefined) return cache.flights.begin(key, cache.epoch);
    this.#join(flight);
    return "joined";
  }

  /** Waits for another request's answer, as long as its own client does. */
  #join(flight: Flight): void {
    const { raw } = this.#exchange.reply;
    const leave = flight.join((landing) => {
      raw.off("close", goAway);
      this.#landed(landing);
    });
    const goAway = (): void => {
      leave();
      this.#responder.answer(this.#exchange, plainAnswer(clientGone));
    };
    raw.once("close", goAway);
  }

  /** What this request waited for has ended. */
  #landed(landing: Landing): void {
    const { raw } = this.#exchange.reply;
    if (raw.destroyed || raw.closed) {
      return this.#responder.answer(this.#exchange, plainAnswer(clientGone));
    }
    if (landing === "given up") return this.#decide(true);
    const { cache } = this.#plan;
    const { url, caller, directives } = this.#asked;
    const found = cache.store.find(url, caller, this.#exchange.request.raw.rawHeaders);
    if (found !== undefined && landing === "kept") {
      const isUsable = reuseOf(found.freshness, directives, cache.clock.now()) !== "validate";
      if (isUsable) {
        const outcome = { status: undefined, isCollapsed: true };
        return this.#serve(found, forwardedStatus(this.#why, outcome));
      }
    }
    if (found !== undefined && landing === "failed" && this.#mayStandIn(found)) {
      return this.#standIn(found, undefined);
    }
    this.#stored = found;
    this.#forward(false);
  }

  #renew(stored: Entry, attempt: Attempt): void {
    const raw = attempt.fields;
    const tag = fieldsOf(raw).get("etag");
    if (tag !== undefined && opaque(tag) !== opaque(storedField(stored, "etag") ?? tag)) {
      return this.#askAgain(stored);
    }
    const { cache } = this.#plan;
    const entry = this.#openIntake().renew(stored, raw);
    const ttl = remainingMs(entry.freshness, cache.clock.now());
    const outcome = { status: 304, isStored: ttl > 0 };
    this.#serve(entry, forwardedStatus(this.#why, outcome));
  }

  /** The upstream means another answer than the one that is stored (RFC 9111 section 4.3.4): asks for it. */
  #askAgain(stored: Entry): void {
    this.#plan.cache.store.remove(stored);
    this.#stored = undefined;
    this.#validates = false;
    this.#plan
      .call(this.#exchange, this, { without: conditions, fields: [], isDetached: false })
      .begin();
  }

  /** What an answer that is not stored says of the one that is. */
  #compare(stored: Entry, attempt: Attempt): void {
    const { status, fields: raw } = attempt;
    // RFC 9111 section 4.3.5.
    const isOfHead = this.#exchange.method === "HEAD" && status === stored.status;
    if (isOfHead && isAbout(stored, fieldsOf(raw))) {
      this.#openIntake().renew(stored, raw);
    } else if (replacing(status)) this.#plan.cache.store.remove(stored);
  }

  /** That of this request; of a HEAD there is none before its answer. */
  #openIntake(): Intake {
    const { rawHeaders } = this.#exchange.request.raw;
    return this.#intake ?? new Intake(this.#plan.cache, this.#asked, rawHeaders, undefined);
  }

  #mayStandIn(stored: Entry): boolean {
    return mayStandIn(stored.freshness, this.#asked.directives, this.#plan.cache.clock.now());
  }

  #standIn(stored: Entry, status: number | undefined): void {
    this.#intake?.end("failed");
    const outcome = { status, detail: "stale-if-error" as const };
    this.#serve(stored, forwardedStatus("stale", outcome));
  }

  /** Asks the upstream behind an answer that has been given, once at a time. */
  #refresh(stored: Entry): void {
    const { cache } = this.#plan;
    const key = cache.flights.keyFor(this.#asked.url, this.#asked.caller) ?? this.#asked.url;
    if (cache.flights.find(key, cache.epoch) !== undefined) return;
    const { rawHeaders } = this.#exchange.request.raw;
    const intake = new Intake(
      cache,
      this.#asked,
      rawHeaders,
      cache.flights.begin(key, cache.epoch),
    );
    new Refresh(this.#plan, this.#exchange, stored, intake).begin();
  }

  #refuseMiss(): void {
    this.#responder.refuse(
      this.#exchange,
      gatewayError("not_cached", "only-if-cached was asked for, and nothing that fits is stored"),
    );
  }
}

/** Only the request's own directives keep it from being used. */
function isFresh({ freshness }: Entry, now: number): boolean {
  return !freshness.alwaysValidate && remainingMs(freshness, now) > 0;
}

/** A status that says that what was there before is no more; others may be about the one who asks. */
function replacing(status: number): boolean {
  return status < 400 || status === 404 || status === 410;
}

function opaque(tag: string): string {
  return tag.replace(/^W\//, "");
}
