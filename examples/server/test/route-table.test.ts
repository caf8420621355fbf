import { createSlackWebhook } from "@apiforge/connector-slack";
import { createHttpCrm, createHttpPatientMessages } from "@apiforge/example-clinic";
import { accountsUpstream } from "@apiforge/example-open-banking";
import { createSmtpMailer } from "@apiforge/example-public-api";
import { eventually, storeNames } from "@apiforge/testing";
import {
  assertForeignRefused,
  assertOwned,
  assertRefusals,
  routeName,
  servedRoutes,
  type OwnedRows,
} from "@apiforge/testing/route-table";
import { Tokens } from "apiforge";
import { serveDuringTests } from "@apiforge/testing/served";
import { beforeAll, describe, expect, test } from "vitest";

import { exampleSystems } from "../src/systems.ts";
import { sandboxTwilio } from "../src/twilio.ts";

// The declarations only: nothing of these systems runs here.
const nowhere = "http://127.0.0.1:9/";
const routes = exampleSystems(
  {
    slack: createSlackWebhook({ url: nowhere }),
    messages: createHttpPatientMessages({ url: nowhere }),
    crm: createHttpCrm({ url: nowhere }),
    twilio: sandboxTwilio({}, nowhere),
    mailer: createSmtpMailer({ url: "smtp://127.0.0.1:9", from: "keys@api.test" }),
    tokens: new Tokens({ issuer: "https://api.test" }),
    bank: { accounts: accountsUpstream(nowhere), record: () => Promise.resolve() },
  },
  Promise.resolve(nowhere),
).flatMap((system) => system.routes ?? []);

// Of APIForge itself, asked in packages/apiforge/test: one has OAuth's errors, one is made by the edge.
const served = [...routes.map(routeName), "POST /oauth/token", "GET /v1/limits/:subject"];

const bodies = {
  "POST /api/projects": { name: "Lighthouse of the owner" },
  "PATCH /api/projects/:id": { name: "Renamed" },
  "POST /api/projects/:id/members": { email: "sam@example.com" },
  "POST /appointments": {
    patientId: "pat_12345",
    slotId: "slot_20260424_1000",
    type: "checkup_of_the_owner",
  },
  "POST /graphql": { query: "{ __typename }" },
  "POST /slack/messages": { text: "Message of the owner" },
  "POST /public-api/registrations": { email: "ada@example.com" },
  "POST /public-api/registrations/verify": { code: "nothing" },
  "POST /mobile/log-ins": { phone: "+15551230009" },
  "POST /mobile/log-ins/:id/code": { code: "000000" },
  "POST /mobile/orders": { dishId: "dish_ramen", note: "Note of the owner" },
  "PUT /mobile/profile": { name: "Name of the owner" },
  "POST /v1/keys": { name: "Key of the owner" },
  "POST /v1/keys/:id/rotate": { overlapSeconds: 60 },
  "POST /bulk-messages": { messages: [{ to: "+15551230001", body: "Text of the owner" }] },
};

// Whoever calls them leaves something behind.
const openToAll = ["POST /mobile/log-ins", "POST /public-api/registrations"];

const queries = { "GET /graphql": "?query=%7B__typename%7D" };

const owner = { sub: "usr_owner", tenant: "practice_p001", role: "scheduling_agent" };
const stranger = "practice_p002";

describe.for(storeNames)("every route of the examples, %s", (store) => {
  const { deployment, client } = serveDuringTests(store);
  const run = { client, deployment, bodies, queries, openToAll };

  test("the table is what the server serves", async () => {
    expect(served.toSorted()).toEqual(await servedRoutes(client()));
  });

  test.for(routes)("$method $path refuses whom its declaration refuses", async (route) => {
    await assertRefusals(run, route);
  });

  describe("with rows of one tenant", () => {
    let rows: OwnedRows;
    beforeAll(async () => {
      const project = await create("/api/projects", bodies["POST /api/projects"]);
      const batch = await create("/bulk-messages", bodies["POST /bulk-messages"]);
      await create("/appointments", bodies["POST /appointments"]);
      await create("/slack/messages", bodies["POST /slack/messages"]);
      const order = await create("/mobile/orders", bodies["POST /mobile/orders"]);
      const key = await create("/v1/keys", bodies["POST /v1/keys"], { role: "admin" });
      const jobId = String(batch["jobId"]);
      const { id } = project["data"] as { id: string };
      rows = {
        tenant: owner.tenant,
        subject: owner.sub,
        ids: {
          "/api/projects/:id": id,
          "/patients/:id": "pat_12345",
          "/bulk-messages/:id": jobId,
          "/mobile/orders/:id": String(order["id"]),
          "/v1/keys/:id": String(key["id"]),
        },
        // A workspace is told its own name among its settings.
        marks: [owner.tenant, "of the owner", "of_the_owner", "+15551230001", "Maria", "Keller"],
      };
      const token = await deployment().token(owner);
      await eventually("the end of the job", async () => {
        const report = await client().request({ path: `/bulk-messages/${jobId}/status`, token });
        return report.body.includes("completedAt");
      });
      await eventually("the event of the message", async () => {
        const events = await client().request({ path: "/slack/events", token });
        return events.body.includes("of the owner");
      });
      await eventually("the notice of the order", async () => {
        const home = await client().request({ path: "/mobile/home?fields=notices.text", token });
        return home.body.includes("Ramen");
      });
    });

    async function create(
      path: string,
      body: unknown,
      as: { readonly role?: string } = {},
    ): Promise<Record<string, unknown>> {
      const answer = await client().request({
        method: "POST",
        path,
        token: await deployment().token({ ...owner, ...as }),
        headers: { "idempotency-key": `create-${path}` },
        body,
      });
      expect(answer.status, answer.body).toBeLessThan(300);
      return answer.json() as Record<string, unknown>;
    }

    // The audit log tells a tenant what it asked for itself, another's ids too, and grows by the
    // asking; that it shows nobody else's entries is in packages/apiforge/test/audit.
    // Without a certificate nobody gets to open banking; whose accounts are shown is in its own tests.
    const known = routes.filter(
      ({ auth, path, certificate }) =>
        (auth === "jwt" || auth === "any") && path !== "/v1/audit" && certificate === undefined,
    );
    const reading = known.filter(({ method }) => method === "GET");
    const reaching = known.filter(({ method, path }) => method === "GET" || path.includes(":"));

    test("nobody of another tenant reaches them, and the owner finds them as they were", async () => {
      const before = await readAll();
      for (const route of reaching) await assertForeignRefused(run, route, rows, stranger);
      expect(await readAll()).toEqual(before);
    });

    test.for(reading)("$method $path shown to its owner is seen as shown", async (route) => {
      await expect(assertForeignRefused(run, route, rows, owner.tenant)).rejects.toThrow(
        "must not show another tenant's row",
      );
    });

    async function readAll(): Promise<Readonly<Record<string, string>>> {
      const read: Record<string, string> = {};
      for (const route of reading) read[routeName(route)] = await assertOwned(run, route, rows);
      return read;
    }
  });
});
