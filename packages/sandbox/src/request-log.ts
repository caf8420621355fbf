const maxEntries = 500;
const maxTotalBytes = 8_388_608;

/** What a log adds to each request. */
export interface LoggedRequest {
  readonly id: number;
  /** Status that was answered; null until then, and for ever when the connection ended before. */
  readonly status: number | null;
}

/** The latest requests, in the order of arrival; the oldest go when there is too much. */
export interface RequestLog<Fields extends object> {
  /** Keeps a request; the returned function sets its status. `sizeBytes` is that of its body. */
  add(fields: Fields, sizeBytes: number): (status: number) => void;
  list(): readonly (LoggedRequest & Fields)[];
  clear(): void;
}

/** An empty log of at most 500 requests and 8 MiB of bodies. */
export function createRequestLog<Fields extends object>(): RequestLog<Fields> {
  let entries: { request: LoggedRequest & Fields; sizeBytes: number }[] = [];
  let totalBytes = 0;
  let lastId = 0;
  return {
    add(fields, sizeBytes) {
      const entry = { request: { id: ++lastId, ...fields, status: null }, sizeBytes };
      entries.push(entry);
      totalBytes += sizeBytes;
      while (entries.length > maxEntries || totalBytes > maxTotalBytes) {
        totalBytes -= entries.shift()?.sizeBytes ?? 0;
      }
      return (status) => {
        Object.assign(entry.request, { status });
      };
    },
    list: () => entries.map((entry) => entry.request),
    clear() {
      entries = [];
      totalBytes = 0;
    },
  };
}
