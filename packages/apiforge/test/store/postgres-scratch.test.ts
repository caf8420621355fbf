import { createDatabase, ManualClock, type TestDatabase } from "@apiforge/testing";
import {
  contractTables,
  storeContract,
  type OpenOptions,
  type OpenStore,
  type StoreFixture,
} from "@apiforge/testing/contracts";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { Client } from "pg";
import { silentLog } from "../../src/kernel/index.ts";
import type { Row, Store } from "../../src/store/index.ts";
import { openPostgresStore } from "../../src/store/postgres/store.ts";

function openAt(url: string, clock: ManualClock, options: OpenOptions = {}): Promise<Store> {
  const { migrations = [contractTables], transactionLimitMs = 5_000, log = silentLog } = options;
  return openPostgresStore({ url, migrations, transactionLimitMs, log, clock });
}
class Open implements OpenStore {
  readonly clock: ManualClock;
  store: Store;
  readonly raw: (sql: string) => Promise<readonly Row[]>;
  readonly database: TestDatabase;
  readonly client: Client;
  readonly others: Store[] = [];
  constructor(clock: ManualClock, store: Store, database: TestDatabase, client: Client) {
    this.clock = clock;
    this.store = store;
    this.database = database;
    this.client = client;
    this.raw = async (sql) => (await client.query(sql)).rows;
  }
  async setTime() {
    await this.client.query(
      `create or replace function forge_now() returns bigint language sql volatile as $$ select ${this.clock.now()}::bigint $$`,
    );
  }
  async advance(ms: number) {
    this.clock.advance(ms);
    await this.setTime();
  }
  async reopen(options?: OpenOptions) {
    await this.store.close();
    this.store = await openAt(this.database.url, this.clock, options);
    await this.setTime();
  }
  async crash(options?: OpenOptions) {
    this.others.push(this.store);
    this.store = await openAt(this.database.url, this.clock, options);
  }
  async close() {
    await this.store.close();
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers are left`);
  }
  async [Symbol.asyncDispose]() {
    await this.close();
    for (const s of this.others) await s.close();
    await this.client.end();
    await this.database.assertNoConnections();
    await this.database.drop();
  }
}
const fixture: StoreFixture = {
  name: "postgres",
  persistent: true,
  async open(options) {
    const database = await createDatabase(postgresUrl());
    const clock = new ManualClock();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    let store: Store;
    try {
      store = await openAt(database.url, clock, options);
    } catch (e) {
      await client.end();
      await database.drop();
      throw e;
    }
    const open = new Open(clock, store, database, client);
    await open.setTime();
    return open;
  },
};
storeContract(fixture);
