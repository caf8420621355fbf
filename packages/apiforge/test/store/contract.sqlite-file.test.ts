import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { recordingLog, turns, until } from "@apiforge/testing";
import { contractTables, sampleEvent, sampleJob, statement } from "@apiforge/testing/contracts";
import { afterEach, describe, expect, test, vi } from "vitest";
import { silentLog } from "../../src/kernel/index.ts";
import type { SqlRunner, Store } from "../../src/store/index.ts";
import { openSqliteStore } from "../../src/store/sqlite/store.ts";
import { copyDatabase, openSqliteFile, sqliteMemory } from "./sqlite-fixture.ts";

type Done = (error: Error | null) => void;

/** Stands in for the disk's answer to a sync; undefined leaves it to the disk. */
const disk = vi.hoisted((): { sync: ((done: Done) => void) | undefined } => ({ sync: undefined }));

vi.mock(import("node:fs"), async (importOriginal) => {
  const fs = await importOriginal();
  function fdatasync(fd: number, done: Done): void {
    if (disk.sync === undefined) fs.fdatasync(fd, done);
    else disk.sync(done);
  }
  return { ...fs, fdatasync: fdatasync as typeof fs.fdatasync };
});

afterEach(() => {
  disk.sync = undefined;
});

function addNote(runner: SqlRunner, id: string, body = "text") {
  return runner.query(statement`insert into note (id, body) values (${id}, ${body})`);
}

async function noteIds(store: Store): Promise<string[]> {
  const rows = await store.read("list", (reader) => reader.query(statement`select id from note`));
  return rows.map((row) => String(row["id"]));
}

async function assertRefused(calls: readonly Promise<unknown>[], reason: object): Promise<void> {
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({ status: "rejected", reason });
  }
}

/** The notes in the file at `path` and its log, as SQLite recovers them. */
function notesIn(path: string): string[] {
  const database = new DatabaseSync(path);
  try {
    return database
      .prepare("select id from note order by id")
      .all()
      .map((row) => String(row["id"]));
  } finally {
    database.close();
  }
}

describe("an answer of the file store", () => {
  test("never leaves before the sync that its commit is part of", async () => {
    await using open = await openSqliteFile();
    const { store, path } = open;
    const syncs: { readonly copy: string; readonly done: Done }[] = [];
    disk.sync = (done) => void syncs.push({ copy: copyDatabase(path), done });
    let onDisk: string | undefined;
    let next = 0;
    const answered: { readonly id: string; readonly onDisk: string | undefined }[] = [];
    function write(): void {
      const id = `note-${next++}`;
      void store
        .transact("write", (tx) => addNote(tx, id))
        .then(() => answered.push({ id, onDisk }));
    }
    for (let wave = 0; wave < 8; wave += 1) {
      for (let count = 0; count <= wave % 3; count += 1) write();
      // Some waves join the group before, some find a sync under way.
      await turns(wave % 4);
      if (wave % 2 === 0) continue;
      await until("a sync to begin", () => syncs.length > 0);
      const before = answered.length;
      await turns(10);
      expect(answered).toHaveLength(before);
      const sync = syncs.shift();
      onDisk = sync?.copy;
      sync?.done(null);
      await turns(10);
    }
    while (answered.length < next) {
      await until("a sync to begin", () => syncs.length > 0);
      const sync = syncs.shift();
      onDisk = sync?.copy;
      sync?.done(null);
      await turns(5);
    }
    expect(new Set(answered.map(({ onDisk }) => onDisk)).size).toBeGreaterThan(2);
    for (const { id, onDisk } of answered) expect(notesIn(String(onDisk))).toContain(id);
  });

  test.for([
    ["a job claim", (store: Store) => store.jobs.claim("mail", "w1", 1)],
    ["a read of the log", (store: Store) => store.events.read(0, 10)],
    ["a read of rows", (store: Store) => noteIds(store)],
    ["a look at an answer", (store: Store) => store.idempotency.find(new Uint8Array(16))],
    ["a health check", (store: Store) => store.check()],
  ] as const)("%s waits for what it may have seen", async ([, look]) => {
    await using open = await openSqliteFile();
    const { store } = open;
    const syncs: Done[] = [];
    disk.sync = (done) => void syncs.push(done);
    const order: string[] = [];
    const writing = store
      .transact("write", (tx) => addNote(tx, "a"))
      .then(() => order.push("write"));
    await until("the commit to be syncing", () => syncs.length > 0);
    const looking = look(store).then(() => order.push("look"));
    await turns(20);
    expect(order).toEqual([]);
    disk.sync = undefined;
    for (const done of syncs) done(null);
    await Promise.all([writing, looking]);
    expect(order).toEqual(["write", "look"]);
  });
});

describe("after a sync has failed", () => {
  function failDisk(): void {
    disk.sync = (done) => done(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));
  }
  const unknown = { code: "commit_outcome_unknown", status: 503, retryable: true };

  test("everybody in doubt is told so, and nothing is promised or begun any more", async () => {
    await using open = await openSqliteFile();
    const { store } = open;
    await store.transact("before", (tx) => addNote(tx, "before"));
    failDisk();
    const doubtful = [1, 2, 3].map((n) => store.transact("doubt", (tx) => addNote(tx, `d${n}`)));
    await assertRefused(doubtful, unknown);
    // The next sync would succeed, and lie: the kernel may have dropped the pages of the failed one.
    disk.sync = undefined;
    const ran: string[] = [];
    const calls: (() => Promise<unknown>)[] = [
      () => store.transact("later", async () => ran.push("later")),
      () => store.read("rows", (reader) => reader.query(statement`select id from note`)),
      () => store.check(),
      () => store.jobs.claim("mail", "w1", 1),
      () => store.events.head(),
      () => store.idempotency.find(new Uint8Array(16)),
      () => store.workers.heartbeat("w1"),
    ];
    for (const call of calls) {
      await expect(call(), String(call)).rejects.toMatchObject(unknown);
    }
    expect(ran).toEqual([]);
  });

  test("a new process finds what was on disk", async () => {
    await using open = await openSqliteFile();
    await open.store.transact("before", (tx) => addNote(tx, "before"));
    failDisk();
    const doubt = open.store.transact("doubt", (tx) => addNote(tx, "doubt"));
    await expect(doubt).rejects.toMatchObject(unknown);
    disk.sync = undefined;
    await open.crash();
    expect(await noteIds(open.store)).toContain("before");
    await open.store.transact("after", (tx) => addNote(tx, "after"));
    expect(await noteIds(open.store)).toContain("after");
  });

  test("those who wait behind the failing sync are told too", async () => {
    await using open = await openSqliteFile();
    const { store } = open;
    const syncs: Done[] = [];
    disk.sync = (done) => void syncs.push(done);
    const first = store.transact("first", (tx) => addNote(tx, "a"));
    await until("the first sync to begin", () => syncs.length === 1);
    const second = store.transact("second", (tx) => addNote(tx, "b"));
    const reading = noteIds(store);
    const told = assertRefused([first, second, reading], unknown);
    await turns(10);
    syncs[0]?.(new Error("EIO"));
    await told;
  });

  test("an open store cannot be had at all", async () => {
    await using open = await openSqliteFile();
    await open.close();
    failDisk();
    await expect(open.reopen()).rejects.toMatchObject(unknown);
    disk.sync = undefined;
    await open.reopen();
    await expect(open.store.check()).resolves.toBeUndefined();
  });
});

describe("the file of a store", () => {
  function openSecond(path: string): Promise<Store> {
    const options = { migrations: [contractTables], transactionLimitMs: 1_000, log: silentLog };
    return openSqliteStore({ ...options, path });
  }

  test("is used by one store at a time", async () => {
    await using open = await openSqliteFile();
    const second = openSecond(open.path);
    await expect(second).rejects.toMatchObject({ code: "store_locked" });
    await expect(second).rejects.toThrow("APIFORGE_DATA_DIR");
    await expect(second).rejects.toThrow(String(process.pid));
    // The attempt has taken nothing from the store that is open.
    await open.store.transact("write", (tx) => addNote(tx, "a"));
    await expect(openSecond(open.path)).rejects.toMatchObject({ code: "store_locked" });
    await open.close();
    const next = await openSecond(open.path);
    expect(await noteIds(next)).toEqual(["a"]);
    await next.close();
  });

  test("is free again after a migration that failed", async () => {
    await using open = await openSqliteFile();
    await open.close();
    const bad = { name: "0002-bad", sqlite: "create nonsense", postgres: "" };
    await expect(open.reopen({ migrations: [contractTables, bad] })).rejects.toThrow();
    await open.reopen();
    await expect(open.store.check()).resolves.toBeUndefined();
  });

  test("that another program has locked is refused at once, and used again afterwards", async () => {
    const log = recordingLog();
    await using open = await openSqliteFile({ log });
    const { store } = open;
    const intruder = new DatabaseSync(open.path);
    intruder.exec("begin immediate");
    const writes = [1, 2, 3].map((n) => store.transact("write", (tx) => addNote(tx, `w${n}`)));
    await assertRefused(writes, { code: "store_unavailable", retryable: true });
    await expect(store.check()).rejects.toMatchObject({ code: "store_unavailable" });
    expect(await noteIds(store)).toEqual([]);
    expect(log.entries.length).toBeLessThan(10);
    intruder.exec("rollback");
    intruder.close();
    await store.transact("write", (tx) => addNote(tx, "after"));
    expect(await noteIds(store)).toEqual(["after"]);
  });

  test("that is full refuses what does not fit, whole groups at a time, and goes on", async () => {
    await using open = await openSqliteFile();
    const { store } = open;
    await store.transact("limit", (tx) => tx.queryText("pragma max_page_count = 200", []));
    const big = "x".repeat(1_000_000);
    const outcomes = await Promise.allSettled([
      store.transact("before", (tx) => addNote(tx, "before")),
      store.transact("big", (tx) => addNote(tx, "big", big)),
      store.transact("after", (tx) => addNote(tx, "after")),
    ]);
    const told = ["before", "big", "after"].filter((_, n) => outcomes[n]?.status === "fulfilled");
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      expect(outcome.reason).toMatchObject({ code: "store_unavailable", retryable: true });
    }
    expect(told).not.toContain("big");
    expect((await noteIds(store)).sort()).toEqual(told.toSorted());
    await store.transact("small", (tx) => addNote(tx, "small"));
    expect(await noteIds(store)).toContain("small");
  });

  test("keeps the last answers over a kill without any close", async () => {
    await using open = await openSqliteFile();
    for (let index = 0; index < 5; index += 1) {
      await open.store.transact("write", (tx) => addNote(tx, `note-${index}`));
    }
    await open.crash();
    expect(await noteIds(open.store)).toHaveLength(5);
    expect(await open.raw?.("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });
});

describe("a constraint that is checked at the commit", () => {
  const deferred = {
    name: "0002-deferred",
    sqlite: `
      create table parent (id integer primary key);
      create table child (
        id integer primary key,
        parent integer references parent (id) deferrable initially deferred
      );
    `,
    postgres: "",
  };

  test("fails the one who broke it, when he is alone", async () => {
    await using open = await openSqliteFile({ migrations: [contractTables, deferred] });
    const { store } = open;
    const orphan = store.transact("orphan", async (tx) => {
      await addNote(tx, "orphan");
      await tx.query(statement`insert into child (id, parent) values (${1}, ${99})`);
    });
    await expect(orphan).rejects.toMatchObject({ code: "store_query_failed", retryable: false });
    expect(await noteIds(store)).toEqual([]);
  });

  test("fails those who share his commit with leave to try again, and leaves nothing", async () => {
    await using open = await openSqliteFile({ migrations: [contractTables, deferred] });
    const { store } = open;
    const writes = [
      store.transact("neighbour", (tx) => addNote(tx, "neighbour")),
      store.transact("orphan", (tx) =>
        tx.query(statement`insert into child (id, parent) values (${1}, ${99})`),
      ),
    ];
    await assertRefused(writes, { code: "store_unavailable", retryable: true });
    expect(await noteIds(store)).toEqual([]);
    await store.transact("neighbour again", (tx) => addNote(tx, "neighbour"));
    expect(await noteIds(store)).toEqual(["neighbour"]);
  });

  test("a statement that rolls everything back fails its neighbours with leave to try again", async () => {
    await using open = await openSqliteFile();
    const { store } = open;
    await store.transact("first", (tx) => addNote(tx, "a"));
    const neighbour = store.transact("neighbour", (tx) => addNote(tx, "neighbour"));
    neighbour.catch(() => undefined);
    const bomb = store.transact("bomb", (tx) =>
      tx.queryText("insert or rollback into note (id, body) values ('a', 'x')", []),
    );
    await assertRefused([bomb], { code: "unique_violation" });
    await assertRefused([neighbour], { code: "store_unavailable", retryable: true });
    expect(await noteIds(store)).toEqual(["a"]);
  });
});

describe("what APIForge itself writes for a unit", () => {
  test("fails that unit with its error and the neighbours with leave to try again", async () => {
    await using open = await openSqliteFile();
    const { store } = open;
    await store.transact("first", async (tx) => tx.insertJob(sampleJob({ id: "job_a" })));
    const neighbour = store.transact("neighbour", async (tx) => {
      await addNote(tx, "neighbour");
      tx.appendEvent(sampleEvent());
    });
    neighbour.catch(() => undefined);
    const twin = store.transact("twin", async (tx) => {
      await addNote(tx, "twin");
      tx.appendEvent(sampleEvent());
      tx.insertJob(sampleJob({ id: "job_a" }));
    });
    await assertRefused([twin], { code: "unique_violation" });
    await assertRefused([neighbour], { code: "store_unavailable", retryable: true });
    expect(await noteIds(store)).toEqual([]);
    expect(await store.events.head()).toBe(0);
    const again = await store.transact("neighbour again", async (tx) => {
      await addNote(tx, "neighbour");
      tx.appendEvent(sampleEvent());
    });
    expect(again.seq).toBe(1);
    expect(await noteIds(store)).toEqual(["neighbour"]);
  });
});

describe("a backup", () => {
  test("taken while others write opens, is whole, and has all that was answered before", async () => {
    await using open = await openSqliteFile();
    const { store } = open;
    const target = join(open.path, "..", "backup.db");
    let next = 0;
    async function writePair(): Promise<void> {
      const n = next++;
      await store.transact("pair", async (tx) => {
        await addNote(tx, `a-${n}`, "x".repeat(2_000));
        await turns(1);
        await addNote(tx, `b-${n}`);
        tx.appendEvent({
          id: `evt-${n}`,
          type: "note.added",
          tenant: "ten_1",
          data: "{}",
          requestId: "req_1",
          createdAt: 0,
        });
      });
    }
    await Promise.all(Array.from({ length: 30 }, writePair));
    const answered = next;
    const backingUp = { isOver: false };
    const writing = (async () => {
      while (!backingUp.isOver) await Promise.all([writePair(), writePair()]);
    })();
    await store.backup?.(target).finally(() => {
      backingUp.isOver = true;
    });
    await writing;
    const database = new DatabaseSync(target);
    try {
      expect(database.prepare("pragma integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
      const ids = database
        .prepare("select id from note")
        .all()
        .map((row) => String(row["id"]));
      const [firsts, seconds] = ["a", "b"].map((half) =>
        ids
          .filter((id) => id.startsWith(half))
          .map((id) => id.slice(2))
          .sort(),
      );
      expect(firsts).toEqual(seconds);
      for (let n = 0; n < answered; n += 1) expect(firsts).toContain(String(n));
      const events = database.prepare("select count(*) as total from forge_events").get();
      expect(events?.["total"]).toBe(firsts?.length);
    } finally {
      database.close();
    }
    const options = { migrations: [contractTables], transactionLimitMs: 1_000, log: silentLog };
    const restored = await openSqliteStore({ ...options, path: target });
    await restored.transact("write", (tx) => addNote(tx, "restored"));
    await restored.close();
  });

  test("of a store in memory is refused", async () => {
    await using open = await sqliteMemory.open();
    const backup = open.store.backup?.(join("nowhere", "backup.db"));
    await expect(backup).rejects.toMatchObject({ code: "store_misconfigured" });
  });
});
