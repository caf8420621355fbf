/** One event of a stream of server-sent events. */
export interface ServerSentEvent {
  /** The stream's last event id, to resume after; empty when it has none. */
  readonly id: string;
  /** Its type; `message` when the server gave none. */
  readonly event: string;
  readonly data: string;
}

/**
 * Reads `text/event-stream` as the HTML standard says (section 9.2.6, "Interpreting an event
 * stream"). An event that the stream's end cuts off is dropped.
 */
export class EventParser {
  /** What to send as `Last-Event-ID`; empty when there is none. */
  lastEventId: string;
  /** How long the server wants to be left alone before a reconnection; undefined when it never said. */
  retryMs: number | undefined;
  #text = "";
  #isFirst = true;
  #id: string;
  #event = "";
  #data: string[] = [];

  constructor(lastEventId: string) {
    this.lastEventId = lastEventId;
    this.#id = lastEventId;
  }

  /** Takes the next piece of the stream and gives the events that it completes. */
  push(chunk: string): ServerSentEvent[] {
    this.#text += this.#isFirst ? chunk.replace(/^\uFEFF/, "") : chunk;
    if (chunk !== "") this.#isFirst = false;
    const events: ServerSentEvent[] = [];
    // A carriage return at the end may be the first half of a line's end.
    const ends = /\r\n|\n|\r(?!$)/g;
    let start = 0;
    for (let end = ends.exec(this.#text); end !== null; end = ends.exec(this.#text)) {
      const event = this.#line(this.#text.slice(start, end.index));
      if (event !== undefined) events.push(event);
      start = ends.lastIndex;
    }
    this.#text = this.#text.slice(start);
    return events;
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #dispatch(): ServerSentEvent | undefined {
    this.lastEventId = this.#id;
    const data = this.#data;
    const event = this.#event === "" ? "message" : this.#event;
    this.#data = [];
    this.#event = "";
    return data.length === 0 ? undefined : { id: this.#id, event, data: data.join("\n") };
  }
}
