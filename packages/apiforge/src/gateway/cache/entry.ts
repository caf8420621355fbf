import { endsHere, namedByConnection } from "../headers/hop-by-hop.ts";
import type { RawFields } from "../headers/raw-fields.ts";
import { listedFields, type Directives } from "./directives.ts";
import { fieldsOf, type Fields } from "./fields.ts";
import { freshnessOf, policyOf, type Exchanged, type Freshness } from "./freshness.ts";
import type { Selection } from "./vary.ts";

/** A stored answer. It never changes; {@link freshened} makes another one of it. */
export interface Entry {
  /** The URL that it answers, as its client asked for it. */
  readonly url: string;
  /** Whom alone it may be given; undefined for everybody whom the route's stages let pass. */
  readonly caller: string | undefined;
  readonly selection: Selection;
  readonly status: number;
  /** Flat as `[name, value, …]`, without length, age and what ends at this hop. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly freshness: Freshness;
  readonly receivedAt: number;
  /** Names by which it can be purged together with others. */
  readonly tags: readonly string[];
  /** The last purge that was known when it was asked for. */
  readonly epoch: number;
}

/** Fields that say by which names an answer can be purged; they end here. */
const tagFields: ReadonlySet<string> = new Set(["cache-tag", "surrogate-key"]);
const maxTags = 128;
const maxTagLength = 256;

/** Of one exchange only, made anew for each answer, or (RFC 9111 section 3.1) never stored. */
const notKept: ReadonlySet<string> = new Set([
  "age",
  "content-length",
  "proxy-authentication-info",
  "ratelimit",
  "ratelimit-policy",
  "server-timing",
  "set-cookie",
  "x-request-id",
  ...tagFields,
]);

/** They speak of the bytes of the stored body, which a 304 did not send (RFC 9111 section 3.2). */
const ofBody: ReadonlySet<string> = new Set([
  "content-digest",
  "content-encoding",
  "content-length",
  "content-md5",
  "content-range",
  "content-type",
  "digest",
  "repr-digest",
]);

/** What of an answer's fields is stored. One without a date gets that of its arrival (RFC 9110 section 6.6.1). */
export function keptFields(
  raw: RawFields,
  fields: Fields,
  directives: Directives,
  receivedAt: number,
): string[] {
  const connection = namedByConnection(fields.get("connection"));
  const listed = new Set([
    ...listedFields(directives, "no-cache"),
    ...listedFields(directives, "private"),
  ]);
  const kept: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? "";
    const lowerCase = name.toLowerCase();
    if (endsHere(lowerCase) || notKept.has(lowerCase)) continue;
    if (connection.has(lowerCase) || listed.has(lowerCase)) continue;
    kept.push(name, raw[index + 1] ?? "");
  }
  if (!fields.has("date")) kept.push("date", new Date(receivedAt).toUTCString());
  return kept;
}

/** The names that an answer may be purged by: members of `Cache-Tag`, and of `Surrogate-Key`, which has spaces between them. */
export function tagsOf(fields: Fields): readonly string[] {
  const keys = (fields.get("surrogate-key") ?? "").split(/[\s,]+/);
  const tags = [...(fields.get("cache-tag") ?? "").split(","), ...keys].map((tag) => tag.trim());
  return [...new Set(tags)]
    .filter((tag) => tag !== "" && tag.length <= maxTagLength)
    .slice(0, maxTags);
}

/** `raw` without the fields that end here. */
export function withoutTags(raw: RawFields): RawFields {
  const left: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? "";
    if (!tagFields.has(name.toLowerCase())) left.push(name, raw[index + 1] ?? "");
  }
  return left;
}

/** An entry with the fields of a 304, or of an answer to HEAD, and what they mean for its use. */
export interface Freshened {
  readonly entry: Entry;
  /** All its fields and those that are not stored, to decide whether it may be kept on. */
  readonly fields: Fields;
}

/** What a stored answer is after its upstream has said that it still holds (RFC 9111 section 4.3.4). */
export function freshened(
  entry: Entry,
  raw: RawFields,
  exchanged: Exchanged,
  epoch: number,
): Freshened {
  const update = fieldsOf(raw);
  const { receivedAt } = exchanged;
  const kept = keptFields(raw, update, policyOf(update).directives, receivedAt);
  const fresh: string[] = [];
  for (let index = 0; index < kept.length; index += 2) {
    const name = kept[index] ?? "";
    if (!ofBody.has(name.toLowerCase())) fresh.push(name, kept[index + 1] ?? "");
  }
  const renewed = new Set(
    fresh.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()),
  );
  const headers: string[] = [];
  for (let index = 0; index < entry.headers.length; index += 2) {
    const name = entry.headers[index] ?? "";
    if (!renewed.has(name.toLowerCase())) headers.push(name, entry.headers[index + 1] ?? "");
  }
  headers.push(...fresh);
  const fields = new Map([...update, ...fieldsOf(headers)]);
  const freshness = freshnessOf(entry.status, fields, policyOf(fields), exchanged);
  const retagged = [...tagFields].some((name) => update.has(name));
  const tags = retagged ? tagsOf(update) : entry.tags;
  return { entry: { ...entry, headers, freshness, receivedAt, tags, epoch }, fields };
}

/** True when what came with a 304 or in answer to HEAD is about the stored representation. */
export function isAbout(entry: Entry, fields: Fields): boolean {
  const stored = fieldsOf(entry.headers);
  const length = fields.get("content-length");
  return (
    ["etag", "last-modified"].every((name) => {
      const value = fields.get(name);
      return value === undefined || value === stored.get(name);
    }) &&
    (length === undefined || length === String(entry.body.length))
  );
}

/** Value of a stored field; `name` is in lower case. */
export function storedField(entry: Entry, name: string): string | undefined {
  const { headers } = entry;
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}

/** Fields of a request that ask its upstream whether an entry still holds; undefined where nothing can be asked. */
export function validators(entry: Entry): readonly string[] | undefined {
  const etag = storedField(entry, "etag");
  const changed = storedField(entry, "last-modified");
  const fields: string[] = [];
  if (etag !== undefined) fields.push("if-none-match", etag);
  if (changed !== undefined) fields.push("if-modified-since", changed);
  return fields.length === 0 ? undefined : fields;
}

/** What an entry takes of the cache's room, in bytes: its content, and about as much as its objects need. */
export function bytesOf({ url, caller = "", headers, body, tags, selection }: Entry): number {
  let characters = url.length + caller.length;
  for (const part of headers) characters += part.length;
  for (const tag of tags) characters += tag.length + 64;
  for (const [name, value = ""] of selection) characters += name.length + value.length + 64;
  return body.length + characters + 768;
}
