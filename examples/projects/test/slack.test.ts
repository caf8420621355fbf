import {
  eventually,
  projectIdOf,
  storeNames,
  type SlackDelivery,
  type SlackFault,
} from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { projectsStage, type ProjectView } from "./stage.ts";

// Three attempts with full jitter: at most 2 s before the second and 4 s before the third.
const retriesDeadlineMs = 15_000;

describe.for(storeNames)("Slack, %s", (store) => {
  const stage = projectsStage(store);

  /** What Slack received about one project, in order. */
  async function deliveriesOf(project: ProjectView): Promise<SlackDelivery[]> {
    const deliveries = await stage.deployment().sandbox.slackDeliveries();
    return deliveries.filter(({ body }) => projectIdOf(body) === project.id);
  }

  async function hasArrived(project: ProjectView): Promise<boolean> {
    return (await deliveriesOf(project)).some(({ posted }) => posted);
  }

  async function jobOf(project: ProjectView): Promise<Record<string, unknown>> {
    return stage.deployment().inspect(async (raw) => {
      const [job = {}] = await raw.all(
        "select state, attempt, last_error from forge_jobs where payload like $1",
        [`%${project.id}%`],
      );
      return job;
    });
  }

  async function withFault<T>(fault: SlackFault, work: () => Promise<T>): Promise<T> {
    const { sandbox } = stage.deployment();
    await sandbox.setSlackFault(fault);
    try {
      return await work();
    } finally {
      await sandbox.clearSlackFault();
    }
  }

  test("a new project is announced with its status and id", async () => {
    const project = await stage.create({ name: "Notification Service", status: "planned" });
    await eventually("the alert", () => hasArrived(project));
    const deliveries = await deliveriesOf(project);
    expect(deliveries).toMatchObject([
      {
        status: 200,
        body: {
          text: "New project created by priya@apiforge.dev",
          blocks: [
            {
              type: "section",
              text: { type: "mrkdwn", text: "*Notification Service* was just created" },
              fields: [
                { type: "mrkdwn", text: "*Status:*\nplanned" },
                { type: "mrkdwn", text: `*Project ID:*\n${project.id}` },
              ],
            },
          ],
        },
      },
    ]);
  });

  test("a new member is announced", async () => {
    const project = await stage.create({ name: "Team" });
    await eventually("the project's alert", () => hasArrived(project));
    const added = await stage.send({
      method: "POST",
      path: `/api/projects/${project.id}/members`,
      body: { email: "sam@apiforge.dev", role: "admin" },
    });
    expect(added.status).toBe(201);
    await eventually("the alert", async () => (await deliveriesOf(project)).length === 2);
    const [, member] = await deliveriesOf(project);
    expect(member?.body).toMatchObject({
      text: "New member added by priya@apiforge.dev",
      blocks: [{ text: { text: "*sam@apiforge.dev* joined *Team* as admin" } }],
    });
  });

  test("text of a user is never markup", async () => {
    const project = await stage.create({ name: "<!channel> & <http://evil.example|click>" });
    await eventually("the alert", () => hasArrived(project));
    const [delivery] = await deliveriesOf(project);
    const escaped = "&lt;!channel&gt; &amp; &lt;http://evil.example|click&gt;";
    expect(JSON.stringify(delivery?.body)).toContain(escaped);
    expect(JSON.stringify(delivery?.body)).not.toContain("<");
  });

  test("a replay announces nothing", async () => {
    const request = {
      method: "POST",
      path: "/api/projects",
      headers: { "idempotency-key": "announced-once" },
      body: { name: "Once" },
    };
    const first = await stage.send(request);
    const project = (first.json() as { data: ProjectView }).data;
    await eventually("the alert", () => hasArrived(project));
    await stage.send(request);
    // Jobs run in the order of their commits, so an alert of the replay would have come before this.
    const next = await stage.create({ name: "Next" });
    await eventually("the next alert", () => hasArrived(next));
    expect(await deliveriesOf(project)).toHaveLength(1);
  });

  const passing: readonly SlackFault[] = [
    { kind: "500", times: 1 },
    { kind: "503", times: 1 },
    { kind: "dead", times: 1 },
    { kind: "429", times: 1, retryAfterSeconds: 2 },
  ];

  test.for(passing)(
    "$kind for a while: the 201 does not notice, the alert arrives",
    async (fault) => {
      const project = await withFault(fault, async () => {
        const created = await stage.create({ name: `Despite ${fault.kind}` });
        await eventually("the alert", () => hasArrived(created), retriesDeadlineMs);
        return created;
      });
      const deliveries = await deliveriesOf(project);
      expect(deliveries.map(({ posted }) => posted)).toEqual([false, true]);
      if (fault.retryAfterSeconds !== undefined) {
        const [refusedAt = 0, postedAt = 0] = deliveries.map(({ receivedAt }) =>
          Date.parse(receivedAt),
        );
        expect(postedAt - refusedAt).toBeGreaterThanOrEqual(fault.retryAfterSeconds * 1_000);
      }
      await eventually("the job has ended", async () => (await jobOf(project))["state"] === 3);
      expect(await jobOf(project)).toMatchObject({ attempt: 2 });
    },
  );

  test("slow: the 201 is there before Slack has answered", async () => {
    const project = await withFault({ kind: "slow", delayMs: 1_500, times: 1 }, async () => {
      const created = await stage.create({ name: "Slow" });
      await eventually("Slack has it", async () => (await deliveriesOf(created)).length === 1);
      expect(await deliveriesOf(created)).toMatchObject([{ status: null }]);
      return created;
    });
    await eventually("the job has ended", async () => (await jobOf(project))["state"] === 3);
    expect(await deliveriesOf(project)).toMatchObject([{ status: 200 }]);
  });

  test("down for good: dead after three attempts, with the reason", async () => {
    await withFault({ kind: "503" }, async () => {
      const project = await stage.create({ name: "Unheard" });
      await eventually(
        "the job is dead",
        async () => (await jobOf(project))["state"] === 4,
        retriesDeadlineMs,
      );
      expect(await deliveriesOf(project)).toHaveLength(3);
      expect(await jobOf(project)).toMatchObject({
        attempt: 3,
        last_error: expect.stringMatching(/Slack.*503/),
      });
      const read = await stage.send({ path: `/api/projects/${project.id}` });
      expect(read.status).toBe(200);
    });
  });

  test("refused by Slack: dead at once, with Slack's word", async () => {
    await withFault({ kind: "channel_is_archived" }, async () => {
      const project = await stage.create({ name: "Archived" });
      await eventually("the job is dead", async () => (await jobOf(project))["state"] === 4);
      expect(await jobOf(project)).toMatchObject({
        attempt: 1,
        last_error: expect.stringContaining("channel_is_archived"),
      });
    });
  });
});
