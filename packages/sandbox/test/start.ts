import { onTestFinished } from "vitest";
import { startSandbox, type SandboxOptions } from "../src/index.ts";

/** A sandbox that is stopped when the test ends, and the requests that tests make of it. */
export async function sandboxForTest(options: SandboxOptions = {}) {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.stop());
  const webhook = `${sandbox.url}/services/T0ACME/B0ALERTS/s3cr3tToken`;
  return {
    url: sandbox.url,
    webhook,
    post: (body: unknown, url = webhook) =>
      fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    control: (method: string, resource: string, body?: unknown) =>
      fetch(`${sandbox.url}/_sandbox/slack/${resource}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async messages(): Promise<readonly Record<string, unknown>[]> {
      const answer = await fetch(`${sandbox.url}/_sandbox/slack/messages`);
      const { messages } = (await answer.json()) as { messages: Record<string, unknown>[] };
      return messages;
    },
  };
}
