import { closeSync, mkdirSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

import type { Entry } from "./entry.ts";

/** What an entry is besides its body. */
type EntryFacts = Omit<Entry, "body">;

/** Of the file's form; one of another form is not read. */
const form = 2;
/** Whoever may read it reads what callers were answered. */
const ownerOnly = 0o600;

/**
 * Writes entries to a file of their own, for the process that comes next. All of it is on disk before it has its name,
 * so nobody reads half of it.
 * @param version of what they were made by.
 */
export function writeEntries(path: string, version: string, entries: Iterable<Entry>): void {
  const unfinished = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  rmSync(unfinished, { force: true });
  closeSync(openSync(unfinished, "wx", ownerOnly));
  const database = new DatabaseSync(unfinished);
  try {
    database.exec(`
      pragma journal_mode = off;
      pragma synchronous = full;
      pragma user_version = ${form};
      begin;
      create table made (version text not null);
      create table entry (n integer primary key, facts text not null, body blob not null);
    `);
    database.prepare("insert into made (version) values (?)").run(version);
    const insert = database.prepare("insert into entry (facts, body) values (?, ?)");
    for (const { body, ...facts } of entries) insert.run(JSON.stringify(facts), body);
    database.exec("commit");
  } finally {
    database.close();
  }
  renameSync(unfinished, path);
}

/**
 * Takes the entries of a file, in the order in which they were written; none of another version. The file is gone with
 * that: what is taken changes from then on, and a process that does not end in order leaves none.
 * @throws what SQLite throws for a file that it cannot read; it is gone then too.
 */
export function takeEntries(path: string, version: string): readonly Entry[] {
  const taken = `${path}.${process.pid}`;
  try {
    renameSync(path, taken);
  } catch {
    return [];
  }
  try {
    return readEntries(taken, version);
  } finally {
    rmSync(taken, { force: true });
  }
}

function readEntries(path: string, version: string): readonly Entry[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const { user_version: found } = database.prepare("pragma user_version").get() ?? {};
    if (found !== form) return [];
    const made = database.prepare("select version from made").get();
    if (made?.["version"] !== version) return [];
    const entries: Entry[] = [];
    for (const row of database.prepare("select facts, body from entry order by n").iterate()) {
      entries.push(entryOf(String(row["facts"]), row["body"]));
    }
    return entries;
  } finally {
    database.close();
  }
}

/** JSON has no undefined, which stands for a field that a request did not have. */
function entryOf(facts: string, body: unknown): Entry {
  const read = JSON.parse(facts) as EntryFacts;
  const selection = read.selection.map(([name, value]) => [name, value ?? undefined] as const);
  const bytes = body instanceof Uint8Array ? Buffer.from(body) : Buffer.alloc(0);
  return { ...read, caller: read.caller ?? undefined, selection, body: bytes };
}
