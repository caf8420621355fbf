import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { isDeepStrictEqual } from "node:util";

import type { Clock, Timer } from "../kernel/index.ts";

/** Whom an upstream's connections trust, and what they show; all in PEM. */
export interface UpstreamTls {
  /** In the place of the authorities that Node trusts. */
  readonly ca?: string;
  readonly key?: string;
  /** With what leads from it to an authority. */
  readonly cert?: string;
}

/** Where an {@link UpstreamTls} is read from. */
export interface UpstreamTlsFiles {
  readonly ca?: string;
  readonly key?: string;
  readonly cert?: string;
}

const lookAgainMs = 60_000;

/** @throws {TypeError} for a key without its certificate or the reverse, and for texts that are neither. */
export function checkedTls(upstream: string, tls: UpstreamTls): UpstreamTls {
  if ((tls.key === undefined) !== (tls.cert === undefined)) {
    throw new TypeError(`Upstream ${upstream}: a key and its certificate go together`);
  }
  try {
    createSecureContext({ ...tls });
    return tls;
  } catch (cause) {
    throw new TypeError(`Upstream ${upstream}: its TLS material cannot be used`, { cause });
  }
}

/** Reads files once, and again once a minute between {@link start} and {@link stop}. */
export class TlsFileWatch {
  readonly #upstream: string;
  readonly #files: UpstreamTlsFiles;
  readonly #clock: Clock;
  readonly #renew: (tls: UpstreamTls) => void;
  #current: UpstreamTls;
  #timer: Timer | undefined;

  /** @throws {Error} for a file that cannot be read, {TypeError} for one that cannot be used. */
  constructor(
    upstream: string,
    files: UpstreamTlsFiles,
    clock: Clock,
    renew: (tls: UpstreamTls) => void,
  ) {
    this.#upstream = upstream;
    this.#files = files;
    this.#clock = clock;
    this.#renew = renew;
    this.#current = checkedTls(upstream, read(files));
  }

  /** What was found the last time. */
  get current(): UpstreamTls {
    return this.#current;
  }

  start(): void {
    this.#timer = this.#clock.after(lookAgainMs, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** A file that is being written, or does not fit, is no reason to stop: the old goes on, and the next minute may be better. */
  #look(): void {
    try {
      const next = read(this.#files);
      if (isDeepStrictEqual(next, this.#current)) return;
      this.#renew(next);
      this.#current = next;
    } catch {
      process.emitWarning(
        `Upstream ${this.#upstream}: changed TLS files cannot be used; the ones before stay in use`,
      );
    }
  }
}

function read(files: UpstreamTlsFiles): UpstreamTls {
  const texts = Object.entries(files).map(([name, path]) => [name, readFileSync(path, "utf8")]);
  return Object.fromEntries(texts) as UpstreamTls;
}
