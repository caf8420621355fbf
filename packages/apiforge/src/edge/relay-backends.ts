import type { RelayBackend } from "./relay.ts";
import type { Route } from "./route.ts";

/** Opens and closes what relays work with, as the routes of a server that goes on change. */
export class RelayBackends {
  #wanted: ReadonlySet<RelayBackend>;
  readonly #opened = new Set<RelayBackend>();
  #isOpen = false;
  #isClosed = false;

  constructor(routes: readonly Route[]) {
    this.#wanted = backendsOf(routes);
  }

  /** The server begins to listen. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#openWanted();
  }

  /** The server serves `routes` from now on. */
  change(routes: readonly Route[]): void {
    this.#wanted = backendsOf(routes);
    if (!this.#isOpen) return;
    this.#openWanted();
    for (const backend of this.#opened) {
      if (!this.#wanted.has(backend)) void this.#retire(backend);
    }
  }

  /** The server has stopped. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = [...this.#opened];
    this.#opened.clear();
    await Promise.all(opened.map((backend) => backend.close()));
  }

  #openWanted(): void {
    for (const backend of this.#wanted) {
      if (this.#opened.has(backend)) continue;
      this.#opened.add(backend);
      backend.open();
    }
  }

  async #retire(backend: RelayBackend): Promise<void> {
    await backend.idle?.();
    // Meanwhile it may be wanted again, or the server has stopped.
    if (this.#isClosed || this.#wanted.has(backend) || !this.#opened.delete(backend)) return;
    await backend.close();
  }
}

/** Each once, however many routes lead to it. */
function backendsOf(routes: readonly Route[]): ReadonlySet<RelayBackend> {
  return new Set(routes.flatMap(({ relay }) => relay?.backend.members ?? relay?.backend ?? []));
}
