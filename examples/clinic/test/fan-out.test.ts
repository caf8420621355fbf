import { fileURLToPath } from "node:url";
import { createDeployment, createHttpClient, eventually, storeNames } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, expect, test } from "vitest";

import { clinicStage, tableOf, type Booked, type Stage } from "./stage.ts";

const entry = fileURLToPath(new URL("servers/broken-consumer.ts", import.meta.url));
const slotOf = (n: number): string => `slot_20260601_${String(8 + n).padStart(2, "0")}00`;

describe.for(storeNames)("a booking is told, %s", (store) => {
  const stage = clinicStage(store);

  test("to the patient, to the CRM and to the counter, each once", async () => {
    const booked = await stage.mustBook("slot_20260424_1000");
    await eventually("the text message", async () => (await stage.inbox("sms")).length > 0);
    await eventually("the CRM's record", async () => (await stage.inbox("crm")).length > 0);
    await eventually("the count", async () => (await countOf(stage)) === 1);
    expect(await stage.inbox("sms")).toMatchObject([
      {
        accepted: true,
        repeated: false,
        body: {
          to: "+15550101002",
          body: "Your appointment on 2026-04-24 at 10:00 is confirmed.",
        },
      },
    ]);
    const { status: _, ...facts } = booked;
    expect((await stage.inbox("crm")).map(({ body }) => body)).toEqual([
      { ...facts, practiceId: "practice_p001", patientId: "pat_789" },
    ]);
  });

  test("a replay and a refusal tell nobody", async () => {
    await stage.mustBook("slot_20260424_1000");
    await stage.book("slot_20260424_1000", { key: "too-late" });
    // Consumers go in order: what follows is told after whatever those two would have left.
    await stage.mustBook("slot_20260424_1015");
    await eventually("the next message", async () => (await stage.inbox("sms")).length > 1);
    await eventually("the next count", async () => (await countOf(stage)) === 2);
    expect(await stage.inbox("sms")).toHaveLength(2);
  });

  test("the CRM down delays neither the answer nor the patient, and gets its record in the end", async () => {
    await stage.setFault("crm", { kind: "503" });
    const booked = await stage.mustBook("slot_20260424_1030");
    await eventually("the text message", async () =>
      (await stage.inbox("sms")).some(({ body }) => String(body["body"]).includes("10:30")),
    );
    await eventually("the count", async () => (await countOf(stage)) === 3);
    const accepted = async () =>
      (await stage.inbox("crm")).filter(
        (delivery) => delivery.accepted && delivery.body["appointmentId"] === booked.appointmentId,
      );
    expect(await accepted()).toEqual([]);
    await stage.setFault("crm", undefined);
    await eventually("the CRM's record", async () => (await accepted()).length === 1, 20_000);
  });
});

const consumers = ["clinic-patient-sms", "clinic-crm", "clinic-analytics"] as const;

describe.for(storeNames)("bookings of two practices, %s", (store) => {
  const stage = clinicStage(store);

  test("are told to their own patients and counted for their own practice", async () => {
    await Promise.all([
      stage.mustBook("slot_20260424_1000"),
      stage.mustBook("slot_20260424_1000", { as: "omar", patientId: "pat_20001" }),
      stage.mustBook("slot_20260424_1015", { as: "omar", patientId: "pat_20001" }),
    ]);
    await eventually("all messages", async () => (await stage.inbox("sms")).length === 3);
    const numbers = (await stage.inbox("sms")).map(({ body }) => body["to"]);
    expect(numbers.filter((number) => number === "+15550101002")).toHaveLength(1);
    expect(numbers.filter((number) => number === "+15550102001")).toHaveLength(2);
    await eventually("all counts", async () => (await countOf(stage)) === 3);
    const counts = await stage.rowsOf("daily_bookings");
    expect(new Map(counts.map((row) => [row["tenant"], row["bookings"]]))).toEqual(
      new Map([
        ["practice_p001", 1],
        ["practice_p002", 2],
      ]),
    );
  });
});

describe.for(storeNames)("one consumer broken, %s", (store) => {
  test.for(consumers)(
    "%s: the others go on, and it catches up once it is mended",
    async (broken) => {
      await using deployment = await createDeployment({ store, postgresUrl: postgresUrl(), entry });
      const token = await deployment.token({
        sub: "user_sarah",
        tenant: "practice_p001",
        role: "scheduling_agent",
      });
      const first = await deployment.start({ env: { BROKEN_CONSUMER: broken } });
      await using client = createHttpClient(first.url);
      for (let n = 0; n < 5; n += 1) {
        const answer = await client.request({
          method: "POST",
          path: "/appointments",
          token,
          headers: { "x-idempotency-key": `booking-${n}` },
          body: { patientId: "pat_789", slotId: slotOf(n), type: "comprehensive_exam" },
        });
        expect(answer.status, answer.body).toBe(201);
        expect((answer.json() as Booked).status).toBe("confirmed");
      }

      async function told(): Promise<Readonly<Record<(typeof consumers)[number], number>>> {
        return deployment.inspect(async (raw) => {
          const jobs = await raw.all("select type from forge_jobs");
          const counts = await raw.all(`select bookings from ${tableOf(store, "daily_bookings")}`);
          const ofType = (type: string) => jobs.filter((job) => job["type"] === type).length;
          return {
            "clinic-patient-sms": ofType("clinic-patient-message"),
            "clinic-crm": ofType("clinic-crm-appointment"),
            "clinic-analytics": counts.reduce((sum, row) => sum + Number(row["bookings"]), 0),
          };
        });
      }

      const all = { "clinic-patient-sms": 5, "clinic-crm": 5, "clinic-analytics": 5 };
      const others = consumers.filter((name) => name !== broken);
      await eventually("the others are done", async () => {
        const counts = await told();
        return others.every((name) => counts[name] === 5);
      });
      expect(await told()).toEqual({ ...all, [broken]: 0 });
      await first.stop();

      const second = await deployment.start();
      await eventually("it has caught up", async () => (await told())[broken] === 5);
      expect(await told()).toEqual(all);
      await second.stop();
    },
  );
});

async function countOf(stage: Stage): Promise<number> {
  const rows = await stage.rowsOf("daily_bookings");
  return rows.reduce((sum, row) => sum + Number(row["bookings"]), 0);
}
