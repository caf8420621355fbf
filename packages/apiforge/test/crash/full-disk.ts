import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReadyServer, StartOptions } from "@apiforge/testing";

/** A folder on a disk that can be full, for the data of one server. */
export interface LimitedDisk extends AsyncDisposable {
  readonly folder: string;
  /** How a server on this disk is started. */
  readonly start: StartOptions;
  /** From now on no file of `server` can grow. */
  fill(server: ReadyServer): void;
  /** Makes room again. */
  free(server: ReadyServer): void;
}

/** A way to get a {@link LimitedDisk}. */
export interface LimitedDiskKind {
  readonly name: string;
  make(): LimitedDisk;
}

const diskSize = "16m";
const ballastBytes = 64 * 1024;

/** A tmpfs, filled to its last byte: ENOSPC. */
const smallFileSystem: LimitedDiskKind = {
  name: "a full file system",
  make() {
    const folder = mkdtempSync(join(tmpdir(), "apiforge-full-disk-"));
    mount(folder);
    const ballast = join(folder, "ballast");
    return {
      folder,
      start: {},
      fill: () => fill(ballast),
      free: () => rmSync(ballast),
      async [Symbol.asyncDispose]() {
        run("umount", "--lazy", folder);
        rmSync(folder, { recursive: true });
      },
    };
  },
};

/** The size of files that the kernel grants a process, lowered to that of the largest: EFBIG. */
const fileSizeLimit: LimitedDiskKind = {
  name: "a file size limit",
  make() {
    const folder = mkdtempSync(join(tmpdir(), "apiforge-full-disk-"));
    return {
      folder,
      start: {},
      fill(server) {
        const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
        setFileSizeLimit(server, String(Math.max(...sizes)));
      },
      free(server) {
        // A dead process took its limit along.
        if (isAlive(server)) setFileSizeLimit(server, "unlimited");
      },
      async [Symbol.asyncDispose]() {
        rmSync(folder, { recursive: true });
      },
    };
  },
};

/**
 * The kinds that this machine lets the tests make: both where they may mount, else the limit, which
 * every Linux has. Other systems let neither be changed while a process runs.
 */
export function limitedDiskKinds(): readonly LimitedDiskKind[] {
  if (process.platform !== "linux") return [];
  return mayMount() ? [smallFileSystem, fileSizeLimit] : [fileSizeLimit];
}

function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-mount-"));
  try {
    mount(folder);
    run("umount", folder);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function mount(folder: string): void {
  run("mount", "-t", "tmpfs", "-o", `size=${diskSize}`, "tmpfs", folder);
}

function fill(ballast: string): void {
  for (let bytes = ballastBytes; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(ballast, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
  }
}

function setFileSizeLimit({ pid }: ReadyServer, soft: string): void {
  run("prlimit", "--pid", String(pid), `--fsize=${soft}:unlimited`);
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: "pipe" });
}

function isAlive({ pid }: ReadyServer): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
