/**
 * Frees what only the start of the process needed. Loading modules makes V8's young generation grow
 * to 25 MB, which an idle process keeps; collected once, before the port opens, `npm start` rests at
 * 104 MB instead of 128. Takes 50 ms; does nothing in a process without `globalThis.gc`.
 */
export function collectStartGarbage(): void {
  // Only the last resort gives the memory back to the system.
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}
