import { randomBytes } from "node:crypto";
import { request } from "node:http";

/** One POST with a new Idempotency-Key; resolves with the status once the whole answer is read. */
export function postOnce(url: string, token: string, body: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const outgoing = request(
    url,
    {
      method: "POST",
      agent: false,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "idempotency-key": randomBytes(8).toString("hex"),
        authorization: `Bearer ${token}`,
      },
    },
    (answer) => {
      answer.on("error", reject);
      answer.on("end", () => resolve(answer.statusCode ?? 0));
      answer.resume();
    },
  );
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise;
}
