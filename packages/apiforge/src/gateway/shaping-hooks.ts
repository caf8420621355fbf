import {
  validateHeaderName,
  validateHeaderValue,
  type Exchange,
  type Principal,
  type RequestInfo,
} from "../edge/index.ts";
import { FieldNames } from "./headers/field-names.ts";
import { endsHere } from "./headers/hop-by-hop.ts";

/** A request as its upstream would get it. */
export interface RelayedRequest {
  readonly method: string;
  /** Path and query, `stripPrefix` taken away; the endpoint's own path comes in front of it. */
  readonly path: string;
  /** Names in lower case; what came more than once is joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the route's schema made of the body; undefined where it declares none. */
  readonly body: unknown;
  readonly principal: Principal | undefined;
  readonly request: RequestInfo;
}

/** An upstream's answer as the caller would get it, without its body. */
export interface RelayedAnswer {
  readonly status: number;
  /** Names in lower case; what came more than once is joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  readonly request: RequestInfo;
}

/** What a hook changes of a head. */
export interface HeadChanges {
  /** Fields by name, each in the place of what there was. */
  readonly set?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

/** What a hook changes of a request. */
export interface RequestChanges extends HeadChanges {
  /** Path and query, from the slash on. */
  readonly path?: string;
  /** Sent as JSON in the place of the body; for routes whose body has a schema. */
  readonly body?: unknown;
}

/** Changes a request before it is sent; undefined: nothing. What it throws is answered, and nothing is sent. */
export type TransformRequest = (request: RelayedRequest) => RequestChanges | undefined;
/** Changes the fields of an answer of any status; undefined: nothing. */
export type TransformResponse = (answer: RelayedAnswer) => HeadChanges | undefined;
/** What becomes of the JSON body of an answer of status 2xx. */
export type TransformReply = (body: unknown, answer: RelayedAnswer) => unknown;

/** A message's fields, flat as `[name, value, …]`, as they are shown to a hook. */
export function shownFields(raw: readonly string[]): Record<string, string> {
  const shown = new Map<string, string>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? "").toLowerCase();
    const earlier = shown.get(name);
    const value = raw[index + 1] ?? "";
    shown.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return Object.fromEntries(shown);
}

/**
 * `raw` with a hook's changes.
 * @throws {TypeError} for what is no field, and for one that belongs to the connection or frames the body.
 */
export function changedFields(
  raw: readonly string[],
  { set = {}, remove = [] }: HeadChanges,
): string[] {
  const added: string[] = [];
  const gone = new Set(remove.map(checkedName));
  for (const [name, value] of Object.entries(set)) {
    const lowerCase = checkedName(name);
    validateHeaderValue(lowerCase, value);
    gone.add(lowerCase);
    added.push(lowerCase, value);
  }
  return replacedFields(raw, new FieldNames(gone), added);
}

/** `raw` without the fields `gone`, and with `added` behind it; both flat. */
export function replacedFields(
  raw: readonly string[],
  gone: FieldNames,
  added: readonly string[],
): string[] {
  const changed: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index];
    const value = raw[index + 1];
    if (name === undefined || value === undefined || gone.has(name)) continue;
    changed.push(name, value);
  }
  for (const part of added) changed.push(part);
  return changed;
}

function checkedName(name: string): string {
  validateHeaderName(name);
  const lowerCase = name.toLowerCase();
  if (endsHere(lowerCase)) throw new TypeError(`A hook must not change the field ${lowerCase}`);
  return lowerCase;
}

/**
 * A hook's path, as it is sent.
 * @throws {TypeError} for what is none.
 */
export function checkedPath(path: string): string {
  if (!/^\/[\x21-\x7e]*$/.test(path)) throw new TypeError("A hook's path begins with a slash");
  return path;
}

/** The body that the stages have checked. */
export function checkedValue({ valid }: Exchange): unknown {
  return valid?.body;
}
