import { readdirSync, readFileSync } from "node:fs";
import { processUsage, type ProcessUsage } from "./server-process.ts";

/**
 * CPU time and memory of processes and all their descendants, for services that fork. Memory is
 * the proportional share, so that pages which backends share are counted once.
 */
export function treeUsage(rootPids: readonly number[]): ProcessUsage {
  const usages = withDescendants(rootPids).map(memberUsage);
  return {
    cpuMs: usages.reduce((sum, usage) => sum + usage.cpuMs, 0),
    residentBytes: usages.reduce((sum, usage) => sum + usage.residentBytes, 0),
  };
}

function withDescendants(rootPids: readonly number[]): number[] {
  const children = Map.groupBy(allProcesses(), ({ parent }) => parent);
  const members = [...rootPids];
  // The list grows while it is walked, until no member has children that are not in it.
  for (const pid of members) {
    for (const child of children.get(pid) ?? []) members.push(child.pid);
  }
  return members;
}

function allProcesses(): { pid: number; parent: number }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const parent = parentOf(Number(name));
      return parent === undefined ? [] : [{ pid: Number(name), parent }];
    });
}

function parentOf(pid: number): number | undefined {
  return whileAlive(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  });
}

function memberUsage(pid: number): ProcessUsage {
  const usage = whileAlive(() => ({
    cpuMs: processUsage(pid).cpuMs,
    residentBytes: proportionalBytes(pid),
  }));
  return usage ?? { cpuMs: 0, residentBytes: 0 };
}

function proportionalBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1_024;
}

/** A process may end between two readings; that is no error of the measurement. */
function whileAlive<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
