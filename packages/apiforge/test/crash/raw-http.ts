import { expect } from "vitest";

/** The head of a keyed `POST /api/projects` with a body of `length` bytes. */
export function postHead(token: string, key: string, length: number): string {
  return [
    "POST /api/projects HTTP/1.1",
    "Host: localhost",
    `Authorization: Bearer ${token}`,
    `Idempotency-Key: ${key}`,
    "Content-Type: application/json",
    `Content-Length: ${length}`,
    "\r\n",
  ].join("\r\n");
}

/** Asserts that the one answer that a connection received is this refusal in the error envelope. */
export function checkEnvelope(received: string, status: number, code: string): void {
  const [headers = "", body = ""] = received.split("\r\n\r\n");
  expect(headers).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  const [, requestId] = /^x-request-id: (\S+)$/im.exec(headers) ?? [];
  expect(JSON.parse(body)).toEqual({
    error: {
      type: "invalid_request_error",
      code,
      message: expect.stringMatching(/\S/),
      requestId: requestId ?? "the value of a missing X-Request-Id",
    },
  });
}
