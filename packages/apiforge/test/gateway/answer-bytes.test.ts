import { expect, test } from "vitest";

import { startGateway, startRawUpstream } from "./gateway-harness.ts";

const request = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/** Every byte there is, over and over. */
function bytesOf(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => index & 0xff));
}

// Around the length up to which head and body leave as one string.
test.each([0, 1, 255, 256, 12_288, 12_289, 70_000])(
  "the %i bytes of a body arrive as they were sent, in one piece or in two",
  async (length) => {
    const body = bytesOf(length);
    const half = length >> 1;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;
    const upstream = await startRawUpstream((socket, _request, number) => {
      if (number === 1) return void socket.write(Buffer.concat([Buffer.from(head), body]));
      socket.write(Buffer.concat([Buffer.from(head), body.subarray(0, half)]));
      setImmediate(() => socket.write(body.subarray(half)));
    });
    const gateway = await startGateway([upstream.url]);
    try {
      for (const _ of ["one piece", "two pieces"]) {
        const seen = await gateway.ask(request);
        expect(seen.status).toBe(200);
        expect(Buffer.from(seen.body, "latin1").equals(body)).toBe(true);
      }
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  },
);
