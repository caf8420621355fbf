import { storeNames } from "@apiforge/testing";
import { runScenarios } from "@apiforge/testing/scenario";
import { beforeAll, describe, expect, test } from "vitest";

import { clinicStage, type Booked } from "./stage.ts";

interface Page {
  readonly data: readonly Booked[];
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
}

describe.for(storeNames)("patients, %s", (store) => {
  const stage = clinicStage(store);

  beforeAll(async () => {
    for (const slot of ["slot_20200302_0900", "slot_20991001_0915", "slot_20991002_1745"]) {
      await stage.mustBook(slot);
    }
  });

  test("a patient is answered with the listed fields and no others", async () => {
    const response = await stage.send({ path: "/patients/pat_789" });
    expect(response.status).toBe(200);
    expect(response.json()).toEqual({
      id: "pat_789",
      firstName: "Tom",
      lastName: "Okafor",
      dateOfBirth: "1991-07-30",
      phone: "+15550101002",
      email: "tom.okafor@example.com",
      insuranceProvider: null,
      nextAppointment: "2099-10-01T09:15",
      lastVisit: "2020-03-02T09:00",
    });
    expect(response.headers["cache-control"]).toBe("no-store");
  });

  test("a patient without appointments has no dates, and notes and numbers stay inside", async () => {
    const response = await stage.send({ path: "/patients/pat_12345" });
    expect(response.json()).toMatchObject({ nextAppointment: null, lastVisit: null });
    expect(response.body).not.toMatch(/glaucoma|900-12|practice_p001|ssn|notes/i);
  });

  test("appointments are listed latest first, page by page", async () => {
    const path = "/patients/pat_789/appointments";
    const first = (await stage.send({ path: `${path}?limit=2` })).json() as Page;
    expect(first.data.map((one) => `${one.date} ${one.time}`)).toEqual([
      "2099-10-02 17:45",
      "2099-10-01 09:15",
    ]);
    expect(first.hasMore).toBe(true);
    const cursor = encodeURIComponent(String(first.nextCursor));
    const second = await stage.send({ path: `${path}?limit=2&cursor=${cursor}` });
    expect(second.json()).toMatchObject({
      data: [{ date: "2020-03-02", time: "09:00", status: "confirmed" }],
      hasMore: false,
      nextCursor: null,
    });
    const foreign = await stage.send({
      path: `/patients/pat_12345/appointments?cursor=${cursor}`,
    });
    expect(foreign.status).toBe(400);
    expect(foreign.body).toContain("invalid_cursor");
  });

  test("each look is in the audit log, with who, what and when", async () => {
    const lines = async () => (await stage.audit()).length;
    const before = await lines();
    const requestId = `looked-${store}`;
    await stage.send({ path: "/patients/pat_12345", headers: { "x-request-id": requestId } });
    expect(await lines()).toBe(before + 1);
    const audit = await stage.audit();
    expect(audit.find((line) => line["request_id"] === requestId)).toMatchObject({
      tenant: "practice_p001",
      action: "patient_read",
      subject: "user_sarah",
      detail: '{"patientId":"pat_12345"}',
      created_at: expect.any(Number),
    });
  });

  runScenarios(stage, [
    {
      name: "a patient that nobody has",
      request: { path: "/patients/pat_nobody", token: "sarah" },
      expect: {
        status: 404,
        envelope: { type: "not_found_error", code: "not_found" },
        stored: "nothing",
      },
    },
    ...["/patients/pat_789", "/patients/pat_789/appointments"].flatMap((path) => [
      {
        name: `${path} for another role`,
        request: { path, token: "admin" },
        expect: {
          status: 403,
          envelope: { type: "permission_error", code: "insufficient_role" },
          stored: "nothing",
        } as const,
      },
      {
        name: `${path} without a token`,
        request: { path },
        expect: {
          status: 401,
          envelope: { type: "authentication_error", code: "missing_token" },
          stored: "nothing",
        } as const,
      },
    ]),
  ]);
});
