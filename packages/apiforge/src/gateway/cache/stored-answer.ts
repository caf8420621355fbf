import type { IncomingHttpHeaders, ServerResponse } from "node:http";

import { hasTag, type AnswerTurn, type SelfWritten } from "../../edge/index.ts";
import { endWith } from "../attempt.ts";
import { responseHead } from "../headers/response-headers.ts";
import { storedField, type Entry } from "./entry.ts";
import { ageMs } from "./freshness.ts";
import { parseHttpDate } from "./http-date.ts";

const noBody: ReadonlySet<number> = new Set([204, 304]);
const pieceBytes = 65_536;

/** An answer out of the cache, as much of it as the request asks for. */
export class StoredAnswer implements SelfWritten {
  /** 304, 206 and 416 where the request is conditional or for a range; else the stored one. */
  readonly status: number;
  readonly #entry: Entry;
  readonly #ageSeconds: number;
  readonly #isPersonal: boolean;
  readonly #range: Range | undefined;

  /** @param isPersonal other caches must not keep it, unless it says otherwise. */
  constructor(
    entry: Entry,
    method: string,
    asked: IncomingHttpHeaders,
    now: number,
    isPersonal: boolean,
  ) {
    this.#entry = entry;
    this.#ageSeconds = Math.floor(ageMs(entry.freshness, now) / 1_000);
    this.#isPersonal = isPersonal;
    if (isNotModified(entry, asked, now)) {
      this.status = 304;
      return;
    }
    this.#range = method === "GET" ? rangeOf(entry, asked, now) : undefined;
    if (this.#range === undefined) this.status = entry.status;
    else this.status = this.#range.last < this.#range.first ? 416 : 206;
  }

  /** @see {SelfWritten} */
  write(response: ServerResponse, own: readonly string[], isLast: boolean, turn: AnswerTurn): void {
    const { status } = this;
    const { body: whole } = this.#entry;
    const { headers, hasCacheControl } = responseHead(this.#fields(), own);
    headers.push("age", String(this.#ageSeconds));
    if (this.#isPersonal && !hasCacheControl) headers.push("cache-control", "no-store");
    const body = this.#body();
    if (status === 206 || status === 416) headers.push("content-range", this.#contentRange(whole));
    // Its request has no body whose rest could be taken for the next one, though Node may not have said so yet.
    if (isLast) headers.push("connection", "close");
    if (!noBody.has(status)) headers.push("content-length", String(body.length));
    response.writeHead(status, headers);
    const isSent = !noBody.has(status) && response.req.method !== "HEAD" && body.length > 0;
    turn.add(() => {
      if (isSent && body.length > pieceBytes && isEncrypted(response)) sendPieces(response, body);
      else endWith(response, isSent ? body : undefined);
    });
  }

  /** A 304 leaves out what describes the body that it does not have (RFC 9110 section 15.4.5). */
  #fields(): readonly string[] {
    const { headers } = this.#entry;
    if (this.status !== 304 && this.status !== 416) return headers;
    const left: string[] = [];
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] ?? "";
      if (!/^content-(?!location)/i.test(name)) left.push(name, headers[index + 1] ?? "");
    }
    return left;
  }

  #body(): Buffer {
    const { body } = this.#entry;
    if (this.#range === undefined) return body;
    return body.subarray(this.#range.first, this.#range.last + 1);
  }

  #contentRange(body: Buffer): string {
    if (this.#range === undefined || this.status === 416) return `bytes */${body.length}`;
    return `bytes ${this.#range.first}-${this.#range.last}/${body.length}`;
  }
}

function isEncrypted({ req }: ServerResponse): boolean {
  return "encrypted" in req.socket;
}

/**
 * Sends no more at a time than a client takes: TLS copies what it encrypts, all that it is given at once. 200 clients
 * that did not read an answer of 1 MiB took 226 MB when it was sent in one, and 29 MB in pieces; their connections are 12 of them.
 */
function sendPieces(response: ServerResponse, body: Buffer): void {
  let sent = 0;
  const send = (): void => {
    while (!response.destroyed) {
      const piece = body.subarray(sent, sent + pieceBytes);
      sent += piece.length;
      if (sent === body.length) return void response.end(piece);
      if (!response.write(piece)) return void response.once("drain", send);
    }
  };
  send();
}

/** RFC 9110 section 13.2.2, for a cache (RFC 9111 section 4.3.2). */
function isNotModified(entry: Entry, asked: IncomingHttpHeaders, now: number): boolean {
  if (entry.status < 200 || entry.status > 299) return false;
  const tags = asked["if-none-match"];
  if (tags !== undefined) {
    const tag = storedField(entry, "etag");
    if (tags.trim() === "*") return true;
    return tag !== undefined && hasTag(tags, tag.replace(/^W\//, ""));
  }
  const since = parseHttpDate(asked["if-modified-since"] ?? "", now);
  if (since === undefined) return false;
  const changed = storedField(entry, "last-modified") ?? storedField(entry, "date") ?? "";
  const changedAt = parseHttpDate(changed, now);
  return changedAt !== undefined && changedAt <= since;
}

/** First and last byte; the last is before the first where there are none. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/** The one range of bytes that is asked for; undefined for the whole (RFC 9110 section 14.2), also where several are. */
function rangeOf(entry: Entry, asked: IncomingHttpHeaders, now: number): Range | undefined {
  const { range } = asked;
  if (range === undefined || entry.status !== 200) return undefined;
  if (!isSameRepresentation(entry, asked["if-range"], now)) return undefined;
  const [, from = "", to = ""] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range) ?? [];
  const { length } = entry.body;
  if (from === "") {
    return to === "" ? undefined : { first: Math.max(0, length - Number(to)), last: length - 1 };
  }
  if (to !== "" && Number(to) < Number(from)) return undefined;
  const last = to === "" ? length - 1 : Math.min(Number(to), length - 1);
  return { first: Number(from), last };
}

/** RFC 9110 section 13.1.5: only a strong validator says that bytes are the same. */
function isSameRepresentation(entry: Entry, ifRange: unknown, now: number): boolean {
  if (typeof ifRange !== "string") return true;
  if (ifRange.startsWith('"')) return ifRange === storedField(entry, "etag");
  const changed = storedField(entry, "last-modified");
  const date = parseHttpDate(storedField(entry, "date") ?? "", now);
  const changedAt = parseHttpDate(changed ?? "", now);
  if (changed !== ifRange || date === undefined || changedAt === undefined) return false;
  // A second is what the date can tell apart; within the last one it is weak (RFC 9110 section 8.8.2.2).
  return date - changedAt >= 1_000;
}
