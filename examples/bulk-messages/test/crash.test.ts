import {
  createDeployment,
  createHttpClient,
  eventually,
  storeNames,
  type Deployment,
  type ReadyServer,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, expect, test } from "vitest";

import { messagesTo, numbers, type JobView, type TwilioRequest } from "./stage.ts";

const endDeadlineMs = 60_000;

/** Messages that Twilio took, by recipient. */
async function taken({ sandbox }: Deployment): Promise<readonly string[]> {
  const { messages } = (await sandbox.controlTwilio("GET", "messages")) as {
    messages: readonly TwilioRequest[];
  };
  return messages.filter(({ sid }) => sid !== null).map(({ form }) => form["To"] ?? "");
}

async function statusOf(
  deployment: Deployment,
  server: ReadyServer,
  jobId: string,
): Promise<JobView> {
  await using client = createHttpClient(server.url);
  const token = await deployment.token({ sub: "usr_9f3k2m" });
  const answer = await client.request({ path: `/bulk-messages/${jobId}/status`, token });
  return answer.json() as JobView;
}

describe.for(storeNames)("bulk messages and kill -9, %s", (store) => {
  test("every message is sent, and none that Twilio lists is sent again", async () => {
    await using deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
    // Slow enough that each kill meets messages under way.
    await deployment.sandbox.controlTwilio("PUT", "fault", { kind: "slow", delayMs: 50 });
    const { messages } = messagesTo(...numbers(120));
    let server = await deployment.start();
    const jobId = await submit(deployment, server, messages);
    for (const atLeast of [10, 50, 90]) {
      await eventually(
        `${atLeast} messages`,
        async () => (await taken(deployment)).length >= atLeast,
        endDeadlineMs,
      );
      await server.kill9();
      server = await deployment.start();
    }
    await eventually(
      "the end",
      async () => (await statusOf(deployment, server, jobId)).completedAt !== undefined,
      endDeadlineMs,
    );
    expect(await statusOf(deployment, server, jobId)).toMatchObject({
      status: "COMPLETED",
      processed: 120,
      failed: 0,
    });
    expect((await taken(deployment)).toSorted((one, other) => one.localeCompare(other))).toEqual(
      numbers(120),
    );
    await server.stop();
  }, 120_000);
});

async function submit(
  deployment: Deployment,
  server: ReadyServer,
  messages: readonly object[],
): Promise<string> {
  await using client = createHttpClient(server.url);
  const answer = await client.request({
    method: "POST",
    path: "/bulk-messages",
    token: await deployment.token({ sub: "usr_9f3k2m" }),
    body: { messages },
  });
  expect(answer.status, answer.body).toBe(202);
  return (answer.json() as { jobId: string }).jobId;
}
