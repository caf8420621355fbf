import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock as StandingClock } from "@apiforge/testing";

import { createDurable, type BatchDefinition, type Durable } from "../../src/durable/index.ts";
import {
  createDevIssuer,
  createEdge,
  createTokenVerifier,
  type DevIssuer,
  type DevToken,
  type Edge,
  type EdgeOptions,
  type Route,
} from "../../src/edge/index.ts";
import { silentLog, systemClock, type Log, type LogFields } from "../../src/kernel/index.ts";
import type { Store } from "../../src/store/index.ts";
import { openSqliteStore } from "../../src/store/sqlite/store.ts";

/** A clock that stands still until it is moved. */
export class ManualClock extends StandingClock {
  constructor() {
    super(Date.UTC(2026, 0, 1));
  }
}

export interface LogLine {
  readonly level: keyof Log;
  readonly fields: LogFields;
  readonly message: string;
}

/** A log that keeps its lines. */
export function recordingLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: keyof Log) => (fields: LogFields, message: string) => {
    lines.push({ level, fields, message });
  };
  return {
    lines,
    log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
  };
}

/** An edge over a real embedded store, with an issuer whose tokens it accepts. */
export interface Harness {
  readonly edge: Edge;
  readonly durable: Durable;
  readonly issuer: DevIssuer;
  readonly clock: ManualClock;
  readonly lines: LogLine[];
  /** An Authorization header. */
  bearer(token?: Partial<DevToken>): Promise<string>;
  stop(): Promise<void>;
}

const migration = `create table thing (id text primary key, tenant text not null, name text not null) strict`;

function openMemory(): Promise<Store> {
  return openSqliteStore({
    path: ":memory:",
    migrations: [{ name: "0001-thing", sqlite: migration, postgres: migration }],
    transactionLimitMs: 5_000,
    log: silentLog,
    clock: systemClock,
  });
}

export async function startHarness(
  routes: readonly Route[],
  options: Partial<EdgeOptions> & {
    readonly batches?: readonly BatchDefinition[];
    /** Default: one in memory. Whoever gives one closes it. */
    readonly store?: Store;
  } = {},
): Promise<Harness> {
  const directory = await mkdtemp(join(tmpdir(), "edge-"));
  const clock = new ManualClock();
  const { log, lines } = recordingLog();
  const { batches = [], store = await openMemory(), ...edgeOptions } = options;
  const durable = createDurable({ store, log: silentLog, jobs: [], consumers: [], batches });
  const issuer = await createDevIssuer({ directory, clock, log: silentLog });
  const edge = createEdge({
    routes,
    durable,
    verifier: createTokenVerifier({
      issuers: [{ issuer: issuer.issuer, audience: issuer.audience, jwks: issuer.jwks() }],
      clock,
    }),
    log,
    clock,
    cursorKey: new Uint8Array(32).fill(7),
    ready: () => store.check(),
    jwks: () => issuer.jwks(),
    ...edgeOptions,
  });
  return {
    edge,
    durable,
    issuer,
    clock,
    lines,
    async bearer(token = {}) {
      const claims = { subject: "usr_1", tenant: "ten_1", role: "admin", ...token };
      return `Bearer ${await issuer.sign(claims)}`;
    },
    async stop() {
      await edge.close();
      await durable.stop(0);
      if (options.store === undefined) await store.close();
      await rm(directory, { recursive: true });
    },
  };
}
