import type { IncomingHttpHeaders } from "node:http";

const maxMessages = 500;
const maxTotalBytes = 8_388_608;

/** A request that arrived at a webhook, whatever was answered. */
export interface ReceivedMessage {
  readonly id: number;
  /** ISO 8601. */
  readonly receivedAt: string;
  /** `T…/B…` of the webhook; its token is not kept. */
  readonly webhook: string;
  readonly headers: IncomingHttpHeaders;
  /** The message, or the text of the body when that was no message. */
  readonly body: unknown;
  /** Status that was answered; null until then, and for ever when the connection ended before. */
  readonly status: number | null;
  /** Slack's error word, or null. */
  readonly error: string | null;
  /** The fault that the request met, `none` for none. */
  readonly fault: string;
  /** True when a person would see it in the channel. */
  readonly posted: boolean;
}

/** The latest messages, in the order of arrival; the oldest go when there is too much. */
export interface MessageLog {
  /** Keeps a message; the returned function sets its status. `sizeBytes` is that of the body. */
  add(message: Omit<ReceivedMessage, "id" | "status">, sizeBytes: number): (status: number) => void;
  list(): readonly ReceivedMessage[];
  clear(): void;
}

/** An empty log of at most 500 messages and 8 MiB of bodies. */
export function createMessageLog(): MessageLog {
  let entries: { message: ReceivedMessage; sizeBytes: number }[] = [];
  let totalBytes = 0;
  let lastId = 0;
  return {
    add(message, sizeBytes) {
      const entry = { message: { id: ++lastId, ...message, status: null }, sizeBytes };
      entries.push(entry);
      totalBytes += sizeBytes;
      while (entries.length > maxMessages || totalBytes > maxTotalBytes) {
        totalBytes -= entries.shift()?.sizeBytes ?? 0;
      }
      return (status) => {
        Object.assign(entry.message, { status });
      };
    },
    list: () => entries.map((entry) => entry.message),
    clear() {
      entries = [];
      totalBytes = 0;
    },
  };
}
