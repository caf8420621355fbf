import { validateHeaderName, validateHeaderValue } from "../edge/index.ts";
import { FieldNames } from "./headers/field-names.ts";
import { endsHere } from "./headers/hop-by-hop.ts";
import { replacedFields, type HeadChanges } from "./shaping-hooks.ts";

/** Which head is changed: the one that the upstream gets, or the one that the caller gets. */
export type HeadKind = "request" | "response";

const ofConnection = "belongs to the connection, or frames the body";
const ofGateway = "is written by the gateway itself";
const asKey = "decides whether a request may be repeated, so it must be the caller's";
const ofClient = "says who the client is, which only the gateway knows";

/** Fields that a declaration must not change, with the reason; those that {@link endsHere} names besides. */
const reserved: Readonly<Record<HeadKind, ReadonlyMap<string, string>>> = {
  request: new Map([
    ["client-cert", ofClient],
    ["client-cert-chain", ofClient],
    ["expect", "is answered here and not passed on"],
    ["forwarded", ofClient],
    ["host", "is chosen by preserveHost"],
    ["idempotency-key", asKey],
    ["traceparent", ofGateway],
    ["tracestate", ofGateway],
    ["via", ofGateway],
    ["x-forwarded-for", ofClient],
    ["x-forwarded-host", ofClient],
    ["x-forwarded-proto", ofClient],
    ["x-idempotency-key", asKey],
    ["x-real-ip", ofClient],
    ["x-request-id", ofGateway],
    ["x-shadow-request", ofGateway],
  ]),
  response: new Map([
    ["apiforge-error", ofGateway],
    ["cache-status", ofGateway],
    ["idempotent-replayed", ofGateway],
    ["proxy-status", ofGateway],
    ["via", ofGateway],
    ["x-forge-seq", ofGateway],
    ["x-request-id", ofGateway],
  ]),
};

/** Why a field cannot be set or removed by a declaration, as the end of a sentence about it; undefined for one that can. */
export function reservedField(kind: HeadKind, name: string): string | undefined {
  const lowerCase = name.toLowerCase();
  return endsHere(lowerCase) ? ofConnection : reserved[kind].get(lowerCase);
}

/** Changes that every head of a kind gets on a route. */
export class DeclaredFields {
  /** What others have said under these names is passed on to nobody. */
  readonly gone: FieldNames;
  readonly #added: readonly string[];
  readonly #names: ReadonlySet<string>;

  /** @throws {TypeError} for what is no field, and for one that a declaration must not change. */
  constructor(kind: HeadKind, { set = {}, remove = [] }: HeadChanges) {
    const added = Object.entries(set).flatMap(([name, value]) => [checked(kind, name), value]);
    for (let index = 0; index < added.length; index += 2) {
      validateHeaderValue(added[index] ?? "", added[index + 1] ?? "");
    }
    this.#added = added;
    this.#names = new Set(added.filter((_, index) => index % 2 === 0));
    this.gone = new FieldNames([...remove.map((name) => checked(kind, name)), ...this.#names]);
  }

  /** True for a field that is set, name in lower case. */
  sets(name: string): boolean {
    return this.#names.has(name);
  }

  /** `raw`, flat as `[name, value, …]`, with the changes. */
  applied(raw: readonly string[]): string[] {
    return replacedFields(raw, this.gone, this.#added);
  }
}

/** Undefined where nothing is declared: such a route pays nothing. */
export function declaredFields(
  kind: HeadKind,
  changes: HeadChanges | undefined,
): DeclaredFields | undefined {
  return changes === undefined ? undefined : new DeclaredFields(kind, changes);
}

function checked(kind: HeadKind, name: string): string {
  validateHeaderName(name);
  const lowerCase = name.toLowerCase();
  const reason = reservedField(kind, lowerCase);
  if (reason !== undefined) throw new TypeError(`The field ${lowerCase} ${reason}`);
  return lowerCase;
}
