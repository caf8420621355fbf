import { eventually, storeNames } from "@apiforge/testing";
import { assertScenario, type Scenario } from "@apiforge/testing/scenario";
import { beforeAll, describe, expect, test } from "vitest";

import { clinicStage } from "./stage.ts";

interface Attempt {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

// Every route of the clinic, asked by sarah of practice_p001 for a patient of practice_p002.
const attempts: readonly Attempt[] = [
  { method: "GET", path: "/patients/pat_20001" },
  { method: "HEAD", path: "/patients/pat_20001" },
  { method: "GET", path: "/patients/pat_20001/appointments" },
  { method: "HEAD", path: "/patients/pat_20001/appointments" },
  {
    method: "POST",
    path: "/appointments",
    headers: { "x-idempotency-key": "foreign" },
    body: { patientId: "pat_20001", slotId: "slot_20260424_1000", type: "comprehensive_exam" },
  },
];

describe.for(storeNames)("another practice's patient, %s", (store) => {
  const stage = clinicStage(store);

  beforeAll(async () => {
    await stage.mustBook("slot_20260424_1400", { as: "omar", patientId: "pat_20001" });
  });

  test("every route of the clinic is tried", async () => {
    const { body } = await stage.client().request({ path: "/openapi.json" });
    const { paths } = JSON.parse(body) as { paths: Record<string, object> };
    const ours = Object.keys(paths).filter((path) => /^\/(patients|appointments)/.test(path));
    const tried = attempts.map(({ path }) => path.replace("pat_20001", "{id}"));
    expect(ours.toSorted()).toEqual([...new Set(tried)].toSorted());
  });

  test.for(attempts)("$method $path is 403, written down, and alarmed", async (attempt) => {
    const requestId = `attempt-${attempt.method}-${attempt.path.replaceAll("/", "-")}`;
    const before = await stage.storedRows();
    const expected: Scenario["expect"] =
      attempt.method === "HEAD"
        ? { status: 403 }
        : {
            status: 403,
            envelope: { type: "permission_error", code: "forbidden" },
            bodyHas: ['"message":"Forbidden"'],
            bodyHasNot: [/Ines|Duarte|latanoprost|900-|practice_p002/],
          };
    await assertScenario(
      { client: stage.client, ...(stage.token === undefined ? {} : { token: stage.token }) },
      {
        name: "attempt",
        request: {
          ...attempt,
          token: "sarah",
          headers: { ...attempt.headers, "x-request-id": requestId },
        },
        expect: expected,
      },
    );
    const after = await stage.storedRows();
    expect(after["forge_events"]).toBe((before["forge_events"] ?? 0) + 1);
    const audit = await stage.audit();
    expect(audit.filter((line) => line["request_id"] === requestId)).toMatchObject([
      {
        tenant: "practice_p001",
        action: "cross_tenant_access",
        subject: "user_sarah",
        detail: '{"resource":"pat_20001"}',
      },
    ]);
    await eventually("the security team's alarm", async () => {
      const alarms = await stage.deployment().sandbox.slackDeliveries();
      return alarms.some(({ body, posted }) => posted && JSON.stringify(body).includes(requestId));
    });
    await eventually("the log's line", async () => stage.log().includes(requestId));
    expect(stage.log()).toContain("cross-tenant access attempt");
  });

  test("nothing was booked, and the patient's own practice sees no trace of it", async () => {
    const appointments = await stage.rowsOf("appointments");
    expect(appointments).toMatchObject([{ tenant: "practice_p002", patient_id: "pat_20001" }]);
    const own = await stage.send({ path: "/patients/pat_20001/appointments", as: "omar" });
    expect(own.json()).toMatchObject({ data: [{ date: "2026-04-24", time: "14:00" }] });
    const read = await stage.send({ path: "/patients/pat_20001", as: "omar" });
    expect(read.json()).toMatchObject({ id: "pat_20001", firstName: "Ines" });
  });

  test("a repeat under the same key is the same refusal, and no second alarm", async () => {
    const attempt = attempts.at(-1);
    if (attempt === undefined) throw new Error("There is no attempt");
    const before = await stage.storedRows();
    const again = await stage.send({ ...attempt, as: "sarah" });
    expect(again.status).toBe(403);
    expect(again.headers["idempotent-replayed"]).toBe("true");
    const { forge_jobs: _, ...rows } = await stage.storedRows();
    expect(before).toMatchObject(rows);
  });
});
