import type { Client } from "undici";

import { loadUndici } from "./undici.ts";
import type { UpstreamTls } from "./upstream-tls.ts";

/** How connections to an endpoint are made. */
export interface ProbeConnection {
  /** With nothing behind the port. */
  readonly origin: string;
  readonly connectMs: number;
  readonly tls: UpstreamTls;
}

/** Asks one endpoint over a connection of its own: behind requests that wait for one of theirs it would be late. */
export interface HealthProbe {
  /** Whether it says that it is well before `late`. Rejects for what is no answer. */
  ask(late: AbortSignal): Promise<boolean>;
  /** Ends the connection, and a question under way. */
  close(): Promise<void>;
}

/** Of an answer; what is longer is no answer to such a question. */
export const maxProbeBytes = 65_536;

/** Asks by a GET; well is what answers 200 to 299. */
export class HttpProbe implements HealthProbe {
  readonly #client: Client;
  readonly #path: string;

  constructor({ origin, connectMs, tls }: ProbeConnection, path: string) {
    const { Client: UndiciClient } = loadUndici();
    this.#client = new UndiciClient(origin, { connect: { ...tls, timeout: connectMs } });
    this.#path = path;
  }

  async ask(late: AbortSignal): Promise<boolean> {
    const request = { path: this.#path, method: "GET", signal: late } as const;
    const { statusCode, body } = await this.#client.request(request);
    await body.dump({ signal: late, limit: maxProbeBytes });
    return statusCode >= 200 && statusCode < 300;
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }
}
