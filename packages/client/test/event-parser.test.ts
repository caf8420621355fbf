import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { EventParser } from "../src/event-parser.ts";

function parse(text: string, lastEventId = ""): [string, string, string][] {
  return new EventParser(lastEventId).push(text).map(({ id, event, data }) => [id, event, data]);
}

// Cases of the HTML standard, section 9.2.6, and of the web platform tests (eventsource/format-*).
describe("an event stream", () => {
  test.each([
    [
      "lines of data are joined",
      "data: YHOO\ndata: +2\ndata: 10\n\n",
      [["", "message", "YHOO\n+2\n10"]],
    ],
    [
      "comments are skipped, an id stays, an empty one resets it",
      ": test\n\ndata: one\nid: 1\n\ndata:two\nid\n\ndata:  three\n\n",
      [
        ["1", "message", "one"],
        ["", "message", "two"],
        ["", "message", " three"],
      ],
    ],
    [
      "data without a colon is an empty line, and what no blank line ends is dropped",
      "data\n\ndata\ndata\n\ndata:",
      [
        ["", "message", ""],
        ["", "message", "\n"],
      ],
    ],
    [
      "only one space is taken away",
      "data:test\n\ndata: test\n\n",
      [
        ["", "message", "test"],
        ["", "message", "test"],
      ],
    ],
    ["an event without data is none", "event: a\nid: 7\n\ndata: x\n\n", [["7", "message", "x"]]],
    ["the last type counts", "event: a\nevent: b\ndata: x\n\n", [["", "b", "x"]]],
    ["an id with a null is ignored", "id: 1\0\ndata: x\n\n", [["", "message", "x"]]],
    [
      "the byte order mark is skipped, once",
      "\uFEFFdata: 1\n\n\uFEFFdata: 2\n\n",
      [["", "message", "1"]],
    ],
    ["every kind of line end", "data: 1\r\ndata: 2\rdata: 3\n\r\n", [["", "message", "1\n2\n3"]]],
    [
      "unknown fields are ignored",
      "dat: 1\nDATA: 2\n data: 3\ndata: 4\n\n",
      [["", "message", "4"]],
    ],
  ])("%s", (_, text, events) => {
    expect(parse(text)).toEqual(events);
  });

  test("the id of an event without data is what to resume after", () => {
    const parser = new EventParser("5");
    expect(parser.lastEventId).toBe("5");
    parser.push("id: 6\n\n");
    expect(parser.lastEventId).toBe("6");
    parser.push("id: 7\n");
    expect(parser.lastEventId).toBe("6");
  });

  test("retry is a whole number of milliseconds", () => {
    const parser = new EventParser("");
    parser.push("retry: 1000x\n");
    expect(parser.retryMs).toBeUndefined();
    parser.push("retry: 1000\n");
    expect(parser.retryMs).toBe(1_000);
  });

  test("reads the same however it is cut", () => {
    const part = fc.constantFrom(
      "data: a",
      "data",
      "id: 1",
      "event: e",
      ":",
      "\r",
      "\n",
      "\r\n",
      "x",
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 30 }),
        fc.infiniteStream(fc.nat(4)),
        (parts, cuts) => {
          const text = `${parts.join("")}\n\ndata: last\n\n`;
          const parser = new EventParser("");
          const events = [];
          for (let at = 0; at < text.length;) {
            const length = cuts.next().value ?? 1;
            events.push(...parser.push(text.slice(at, at + length)));
            at += length === 0 ? 1 : length;
            if (length === 0) events.push(...parser.push(text.slice(at - 1, at)));
          }
          expect(events).toEqual(new EventParser("").push(text));
        },
      ),
    );
  });
});
