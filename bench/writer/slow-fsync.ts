import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("slow-fsync.c", import.meta.url));

/** Calls of fsync and fdatasync that a process made, by thread. */
export interface SyncCounts {
  readonly mainThread: number;
  readonly otherThreads: number;
}

/** A shared library that slows the syncs of the processes it is preloaded into, and counts them. */
export interface SlowFsync {
  /** Variables that make a child process wait `ms` at every sync and count into `counterFile`. */
  environment(ms: number, counterFile: string): Record<string, string>;
}

/**
 * Compiles the shim with gcc into `directory` and proves that it catches SQLite's syncs and those
 * of node:fs; throws when either escapes it, because every result would then be wrong.
 */
export function buildSlowFsync(directory: string): SlowFsync {
  const library = join(directory, "slow-fsync.so");
  execFileSync("gcc", ["-O2", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  const shim: SlowFsync = {
    environment: (ms, counterFile) => ({
      LD_PRELOAD: library,
      FSYNC_MS: String(ms),
      FSYNC_COUNTERS: counterFile,
    }),
  };
  proveThatItCatches(shim, directory);
  return shim;
}

/** Reads the counters of a process that runs or ran with {@link SlowFsync.environment}. */
export function readSyncCounts(counterFile: string): SyncCounts {
  const bytes = readFileSync(counterFile);
  const at = (index: number) => Number(bytes.readBigUInt64LE(index * 8));
  return { mainThread: at(0) + at(1), otherThreads: at(2) + at(3) };
}

/** The syncs made between two readings. */
export function syncsSince(before: SyncCounts, after: SyncCounts): SyncCounts {
  return {
    mainThread: after.mainThread - before.mainThread,
    otherThreads: after.otherThreads - before.otherThreads,
  };
}

function proveThatItCatches(shim: SlowFsync, directory: string): void {
  const sqlite = countedRun(
    shim,
    directory,
    `const {DatabaseSync}=require("node:sqlite");const d=new DatabaseSync(process.argv[1]+"/probe.db");
     d.exec("pragma journal_mode=wal;pragma synchronous=full;create table t(a)");
     for(let i=0;i<10;i++)d.exec("insert into t values(1)");`,
  );
  if (sqlite.mainThread < 10) throw new Error("The shim does not catch SQLite's syncs.");
  const libuv = countedRun(
    shim,
    directory,
    `const fs=require("node:fs");const f=fs.openSync(process.argv[1]+"/probe","w");fs.writeSync(f,"a");
     fs.fdatasync(f,(e)=>{if(e)throw e;fs.fsync(f,(e)=>{if(e)throw e})});`,
  );
  if (libuv.otherThreads !== 2) throw new Error("The shim does not catch the syncs of node:fs.");
}

function countedRun(shim: SlowFsync, directory: string, program: string): SyncCounts {
  const folder = mkdtempSync(join(directory, "probe-"));
  const counterFile = join(folder, "counters");
  try {
    execFileSync(process.execPath, ["-e", program, folder], {
      env: { ...process.env, ...shim.environment(0, counterFile) },
    });
    return readSyncCounts(counterFile);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
