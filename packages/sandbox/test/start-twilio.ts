import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { startSandbox, type SandboxOptions } from "../src/index.ts";

/** The account of every sandbox. */
export const accountSid = `AC${"0".repeat(32)}`;
export const authToken = "0".repeat(32);
export const sender = "+15005550006";

/** A sandbox's Twilio, spoken to without any SDK; the sandbox is stopped when the test ends. */
export async function twilioForTest(options: SandboxOptions = {}) {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.stop());
  const messagesUrl = `${sandbox.url}/2010-04-01/Accounts/${accountSid}/Messages.json`;
  const authorization = `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString("base64")}`;
  return {
    url: sandbox.url,
    messagesUrl,
    authorization,
    get: (url: string) => fetch(url, { headers: { authorization } }),
    send: (form: Readonly<Record<string, string>>) =>
      fetch(messagesUrl, {
        method: "POST",
        headers: { authorization },
        body: new URLSearchParams({ From: sender, Body: "Hello", ...form }),
      }),
    control: (method: string, resource: string, body?: unknown) =>
      fetch(`${sandbox.url}/_sandbox/twilio/${resource}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async requests(): Promise<readonly Record<string, unknown>[]> {
      const answer = await fetch(`${sandbox.url}/_sandbox/twilio/messages`);
      return ((await answer.json()) as { messages: Record<string, unknown>[] }).messages;
    },
    async callbacks(): Promise<readonly Record<string, unknown>[]> {
      const answer = await fetch(`${sandbox.url}/_sandbox/twilio/callbacks`);
      return ((await answer.json()) as { callbacks: Record<string, unknown>[] }).callbacks;
    },
  };
}

/** A request that the receiver of callbacks got. */
export interface ReceivedCallback {
  readonly url: string;
  readonly signature: string;
  readonly form: Readonly<Record<string, string>>;
}

/** A server that takes callbacks with `status`; stopped when the test ends. */
export async function callbackReceiver(status = 200) {
  const received: ReceivedCallback[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const signature = String(request.headers["x-twilio-signature"]);
      const form = Object.fromEntries(new URLSearchParams(body));
      received.push({ url: `${origin}${request.url}`, signature, form });
      response.writeHead(status).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin, received };
}
