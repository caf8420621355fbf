import { eventually, storeNames } from "@apiforge/testing";
import { runScenarios, type Scenario } from "@apiforge/testing/scenario";
import { describe, expect, test } from "vitest";

import { clinicStage, type Booked } from "./stage.ts";

const rivals = 200;

function booking(body: unknown, expected: Scenario["expect"], name: string): Scenario {
  const request = {
    method: "POST",
    path: "/appointments",
    token: "sarah",
    headers: { "x-idempotency-key": name.replaceAll(/[^\w]/g, "-") },
    body,
  };
  return { name, request, expect: expected };
}

function invalidSlot(slotId: string): Scenario {
  const envelope = { type: "invalid_request_error", code: "invalid_slot", param: "body.slotId" };
  const body = { patientId: "pat_789", slotId, type: "comprehensive_exam" };
  const bodyHas = ["slot_YYYYMMDD_HHMM"];
  return booking(body, { status: 400, envelope, bodyHas }, `invalid slot ${slotId}`);
}

function noSuchSlot(slotId: string): Scenario {
  const envelope = { type: "not_found_error", code: "not_found" };
  const body = { patientId: "pat_789", slotId, type: "comprehensive_exam" };
  const bodyHas = ["every 15 minutes from 08:00 to 17:45"];
  return booking(body, { status: 404, envelope, bodyHas }, `no slot at ${slotId}`);
}

const good = { patientId: "pat_789", slotId: "slot_20260424_0800", type: "comprehensive_exam" };

const refusals: readonly Scenario[] = [
  ...["slot_20260230_1000", "slot_20261301_1000", "slot_2026_1000", "slot_20260424_2400"].map(
    invalidSlot,
  ),
  ...["slot_20260424_1000x", "slot_20260424_1060", "20260424_1000"].map(invalidSlot),
  ...["slot_20260424_0745", "slot_20260424_1800", "slot_20260424_1010"].map(noSuchSlot),
  booking(
    { ...good, patientId: "pat_nobody" },
    { status: 404, envelope: { type: "not_found_error", code: "not_found" } },
    "no such patient",
  ),
  booking(
    { ...good, type: "Exam; drop" },
    {
      status: 400,
      envelope: {
        type: "invalid_request_error",
        code: "validation_failed",
        param: "body.type",
      },
      stored: "nothing",
    },
    "a type with other characters",
  ),
  booking(
    { ...good, status: "confirmed" },
    {
      status: 400,
      envelope: { type: "invalid_request_error", code: "unknown_field", param: "body.status" },
      stored: "nothing",
    },
    "an undeclared field",
  ),
  {
    name: "no idempotency key",
    request: { method: "POST", path: "/appointments", token: "sarah", body: good },
    expect: {
      status: 400,
      envelope: { type: "idempotency_error", code: "idempotency_key_required" },
      stored: "nothing",
    },
  },
  {
    name: "another role",
    request: {
      method: "POST",
      path: "/appointments",
      token: "admin",
      headers: { "x-idempotency-key": "another-role" },
      body: good,
    },
    expect: {
      status: 403,
      envelope: { type: "permission_error", code: "insufficient_role" },
      stored: "nothing",
    },
  },
  {
    name: "no token",
    request: { method: "POST", path: "/appointments", body: good },
    expect: {
      status: 401,
      envelope: { type: "authentication_error", code: "missing_token" },
      stored: "nothing",
    },
  },
];

describe.for(storeNames)("booking, %s", (store) => {
  const stage = clinicStage(store);

  test("is confirmed with what was booked, and leaves everything in one commit", async () => {
    const before = await stage.storedRows();
    const response = await stage.book("slot_20260424_1000", { key: "first" });
    expect(response.status).toBe(201);
    expect(response.json()).toEqual({
      appointmentId: expect.stringMatching(/^appt_\w{12,}$/),
      status: "confirmed",
      date: "2026-04-24",
      time: "10:00",
      type: "comprehensive_exam",
    });
    expect(Number(response.headers["x-forge-seq"])).toBeGreaterThan(0);
    const { appointmentId } = response.json() as Booked;
    expect(await stage.rowsOf("appointments")).toMatchObject([
      { tenant: "practice_p001", id: appointmentId, patient_id: "pat_789" },
    ]);
    expect(await stage.rowsOf("appointment_slots")).toMatchObject([
      { tenant: "practice_p001", id: "slot_20260424_1000", appointment_id: appointmentId },
    ]);
    const events = await stage.deployment().inspect((raw) => raw.all("select * from forge_events"));
    expect(events).toMatchObject([{ type: "APPOINTMENT_BOOKED", tenant: "practice_p001" }]);
    expect(JSON.parse(String(events[0]?.["data"]))).toEqual({
      appointmentId,
      practiceId: "practice_p001",
      patientId: "pat_789",
      slotId: "slot_20260424_1000",
      date: "2026-04-24",
      time: "10:00",
      type: "comprehensive_exam",
    });
    expect((await stage.storedRows())["forge_idempotency"]).toBe(
      (before["forge_idempotency"] ?? 0) + 1,
    );
  });

  test("a double click answers the same appointment", async () => {
    const clicks = await Promise.all(
      [0, 1].map(() => stage.book("slot_20260424_1015", { key: "double" })),
    );
    const [winner] = clicks.filter((click) => click.status === 201);
    // The second click may come while the first is under way; it is told to ask again.
    for (const click of clicks.filter((one) => one.status !== 201)) {
      expect(click.status).toBe(409);
      expect(click.body).toContain("idempotency_in_progress");
    }
    const later = await stage.book("slot_20260424_1015", { key: "double" });
    expect(later.status).toBe(201);
    expect(later.body).toBe(winner?.body);
    expect(later.headers["idempotent-replayed"]).toBe("true");
    const slots = await stage.rowsOf("appointment_slots");
    expect(slots.filter((slot) => slot["id"] === "slot_20260424_1015")).toHaveLength(1);
  });

  test("both spellings of the key's header are one key", async () => {
    const booked = await stage.mustBook("slot_20260424_1030", { key: "spelled" });
    const again = await stage.send({
      method: "POST",
      path: "/appointments",
      headers: { "idempotency-key": '"spelled"' },
      body: { patientId: "pat_789", slotId: "slot_20260424_1030", type: "comprehensive_exam" },
    });
    expect(again.json()).toEqual(booked);
  });

  test("a key that was used for another slot is refused", async () => {
    await stage.mustBook("slot_20260424_1045", { key: "used" });
    const other = await stage.book("slot_20260424_1100", { key: "used" });
    expect(other.status).toBe(422);
    expect(other.body).toContain("idempotency_key_reused");
  });

  test("a slot that is taken is refused, now and on a repeat, and stores nothing but that", async () => {
    await stage.mustBook("slot_20260424_1115");
    const before = await stage.storedRows();
    const late = await stage.book("slot_20260424_1115", { key: "late", patientId: "pat_12345" });
    expect(late.status).toBe(409);
    expect(late.json()).toMatchObject({
      error: { type: "conflict_error", code: "slot_unavailable", param: "body.slotId" },
    });
    expect(await stage.storedRows()).toEqual({
      ...before,
      forge_idempotency: (before["forge_idempotency"] ?? 0) + 1,
      forge_jobs: expect.any(Number),
    });
    const again = await stage.book("slot_20260424_1115", { key: "late", patientId: "pat_12345" });
    expect(again).toMatchObject({ status: 409, body: late.body });
  });

  test("the same slot of another practice is another slot", async () => {
    const slotId = "slot_20260424_1130";
    await stage.mustBook(slotId);
    await stage.mustBook(slotId, { as: "omar", patientId: "pat_20001" });
    const slots = await stage.rowsOf("appointment_slots");
    expect(slots.filter((slot) => slot["id"] === slotId)).toHaveLength(2);
  });

  test(`of ${rivals} bookings of one slot at once exactly one wins`, async () => {
    const slotId = "slot_20260425_1000";
    const answers = await Promise.all(
      Array.from({ length: rivals }, (_, n) => bookUntilAnswered(slotId, `rival-${n}`)),
    );
    const won = answers.filter((answer) => answer.status === 201);
    const lost = answers.filter((answer) => answer.status === 409);
    expect(won).toHaveLength(1);
    expect(lost).toHaveLength(rivals - 1);
    for (const { body } of lost) expect(body).toContain('"slot_unavailable"');
    const slots = await stage.rowsOf("appointment_slots");
    expect(slots.filter((slot) => slot["id"] === slotId)).toHaveLength(1);
    const appointments = await stage.rowsOf("appointments");
    const [appointment, ...others] = appointments.filter((one) => one["slot_id"] === slotId);
    expect(won[0]?.json()).toMatchObject({ appointmentId: appointment?.["id"] });
    expect(others).toEqual([]);
  });

  /** A busy server may say 503, and a client then repeats under its key. */
  async function bookUntilAnswered(slotId: string, key: string) {
    let answer = await stage.book(slotId, { key });
    await eventually("an answer", async () => {
      if (answer.status === 503) answer = await stage.book(slotId, { key });
      return answer.status !== 503;
    });
    return answer;
  }

  describe("refusals", () => {
    runScenarios(stage, refusals);
  });
});
