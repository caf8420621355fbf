import { createDatabase, ManualClock, type TestDatabase } from "@apiforge/testing";
import {
  contractTables,
  type OpenOptions,
  type OpenStore,
  type StoreFixture,
} from "@apiforge/testing/contracts";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { Client } from "pg";
import { afterAll } from "vitest";
import { silentLog } from "../../src/kernel/index.ts";
import type { Row, Store } from "../../src/store/index.ts";
import { openPostgresStore } from "../../src/store/postgres/store.ts";
import type { Grouping } from "../../src/store/postgres/writer.ts";

/** A store in a PostgreSQL database that nobody else uses meanwhile. */
export const postgres: StoreFixture = {
  name: "postgres",
  persistent: true,
  open: (options) => open(undefined, options),
};

/** As {@link postgres}, with every unit of work in a group from the first on. */
export const postgresGrouped: StoreFixture = {
  name: "postgres, grouped",
  persistent: true,
  open: (options) => open({ quickAfter: 0, fewestUnits: 1 }, options),
};

async function open(
  grouping: Grouping | undefined,
  options: OpenOptions | undefined,
): Promise<OpenStore> {
  const database = idle.pop() ?? (await createDatabase(postgresUrl()));
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    const clock = new ManualClock();
    const openAgain: OpenAgain = (again) => openOn(database, clock, grouping, again);
    const opened = new OpenPostgres(database, client, clock, openAgain, await openAgain(options));
    await opened.advance(0);
    return opened;
  } catch (error) {
    await giveBack(database, client);
    throw error;
  }
}

type OpenAgain = (options?: OpenOptions) => Promise<Store>;

/** Databases are emptied and used again: making one takes ten times as long. */
const idle: TestDatabase[] = [];

afterAll(async () => {
  for (const database of idle.splice(0)) await database.drop();
});

async function giveBack(database: TestDatabase, client: Client): Promise<void> {
  await client.query("drop schema public cascade; create schema public");
  await client.end();
  await database.assertNoConnections();
  idle.push(database);
}

function openOn(
  database: TestDatabase,
  clock: ManualClock,
  grouping: Grouping | undefined,
  options: OpenOptions = {},
): Promise<Store> {
  const { migrations = [contractTables], transactionLimitMs = 5_000, log = silentLog } = options;
  return openPostgresStore({
    url: database.url,
    poolSize: 8,
    migrations,
    transactionLimitMs,
    log,
    clock,
    ...(grouping === undefined ? {} : { grouping }),
  });
}

class OpenPostgres implements OpenStore {
  readonly clock: ManualClock;
  store: Store;
  readonly #database: TestDatabase;
  readonly #client: Client;
  readonly #openAgain: OpenAgain;

  constructor(
    database: TestDatabase,
    client: Client,
    clock: ManualClock,
    openAgain: OpenAgain,
    store: Store,
  ) {
    this.#database = database;
    this.#client = client;
    this.#openAgain = openAgain;
    this.clock = clock;
    this.store = store;
  }

  /** All nodes take the time from `forge_now()`, so that is what tells it. */
  async advance(ms: number): Promise<void> {
    await this.#client.query(
      `create or replace function forge_now() returns bigint language sql volatile
       as $$ select ${this.clock.now() + ms}::bigint $$`,
    );
    this.clock.advance(ms);
  }

  async raw(sql: string): Promise<readonly Row[]> {
    return (await this.#client.query<Row>(sql)).rows;
  }

  async reopen(options?: OpenOptions): Promise<void> {
    await this.close();
    this.store = await this.#openAgain(options);
  }

  async crash(options?: OpenOptions): Promise<void> {
    const killed = this.store;
    this.store = await this.#openAgain(options);
    await killed.close();
  }

  async close(): Promise<void> {
    await this.store.close();
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers are left`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await giveBack(this.#database, this.#client);
  }
}
