import type { Message } from "./message.ts";

const maxMessages = 100_000;

/** The latest messages that were taken; the oldest go when there are more than 100,000. */
export interface MessageTable {
  add(message: Message): void;
  find(sid: string): Message | undefined;
  /** Newest first. */
  list(filter: { to: string | null; from: string | null; limit: number }): readonly Message[];
  /** Messages ever taken. */
  readonly total: number;
  clear(): void;
}

/** An empty table. */
export function createMessageTable(): MessageTable {
  const bySid = new Map<string, Message>();
  // A number's messages are looked for one number at a time.
  const byRecipient = new Map<string, Message[]>();
  let total = 0;

  function removeOldest(): void {
    const [oldest] = bySid.values();
    if (oldest === undefined) return;
    bySid.delete(oldest.sid);
    const rest = byRecipient.get(oldest.to)?.filter((message) => message !== oldest) ?? [];
    if (rest.length === 0) byRecipient.delete(oldest.to);
    else byRecipient.set(oldest.to, rest);
  }

  return {
    add(message) {
      total++;
      bySid.set(message.sid, message);
      const others = byRecipient.get(message.to);
      if (others === undefined) byRecipient.set(message.to, [message]);
      else others.push(message);
      if (bySid.size > maxMessages) removeOldest();
    },
    find: (sid) => bySid.get(sid),
    list({ to, from, limit }) {
      const candidates = to === null ? [...bySid.values()] : (byRecipient.get(to) ?? []);
      return candidates
        .filter((message) => from === null || message.from === from)
        .toReversed()
        .slice(0, limit);
    },
    get total() {
      return total;
    },
    clear() {
      bySid.clear();
      byRecipient.clear();
      total = 0;
    },
  };
}
