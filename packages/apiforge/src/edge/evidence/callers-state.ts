import type { TraceState } from "@opentelemetry/api";

/**
 * A caller's `tracestate`, passed on as it came. The one of OpenTelemetry's API knows the keys of
 * level 1 only, and drops others that level 2 says are to be passed on.
 */
export class CallersState implements TraceState {
  readonly #members: ReadonlyMap<string, string>;

  /** @param members by key, the one written last first; each valid. */
  constructor(members: ReadonlyMap<string, string>) {
    this.#members = members;
  }

  get(key: string): string | undefined {
    return this.#members.get(key);
  }

  set(key: string, value: string): CallersState {
    return new CallersState(new Map([[key, value], ...this.unset(key).#members]));
  }

  unset(key: string): CallersState {
    return new CallersState(new Map([...this.#members].filter(([known]) => known !== key)));
  }

  serialize(): string {
    return Array.from(this.#members, ([key, value]) => `${key}=${value}`).join(",");
  }
}
