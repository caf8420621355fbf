import { setTimeout as delay } from "node:timers/promises";
import { createDeployment, eventually, storeNames, type Deployment } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, test } from "vitest";

import { BookingClients } from "./booking-clients.ts";
import { findBrokenBookings } from "./booking-invariants.ts";
import { tableOf } from "./stage.ts";

const isLong = process.env["APIFORGE_CRASH_LONG"] === "1";
const kills = isLong ? 20 : 3;
const clients = 8;
/** Bookings of each slot: all but one of them must lose. */
const rivals = 3;
const longestLifeMs = 600;
const toldDeadlineMs = 60_000;

/** Slots of one day after the other, each named as often as it has rivals. */
function slotSequence(): () => string {
  let asked = 0;
  return () => {
    const n = Math.floor(asked++ / rivals);
    const day = new Date(Date.UTC(2027, 0, 1 + Math.floor(n / 40)));
    const minute = 8 * 60 + (n % 40) * 15;
    const time = [Math.floor(minute / 60), minute % 60].map((part) =>
      String(part).padStart(2, "0"),
    );
    return `slot_${day.toISOString().slice(0, 10).replaceAll("-", "")}_${time.join("")}`;
  };
}

describe.for(storeNames)("SIGKILL in the middle of bookings, %s", (store) => {
  test(
    `${kills} kills: what was confirmed is whole, and no slot is booked twice`,
    { timeout: isLong ? 600_000 : 120_000 },
    async ({ expect }) => {
      await using deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
      const who = { sub: "user_sarah", tenant: "practice_p001", role: "scheduling_agent" };
      const token = await deployment.token(who);
      let server = await deployment.start();
      await using agents = new BookingClients(clients, token, () => server.url, slotSequence());

      for (let kill = 1; kill <= kills; kill += 1) {
        const before = agents.confirmed.length;
        await eventually("bookings are made", async () => agents.confirmed.length > before);
        await delay(Math.random() * longestLifeMs);
        await server.kill9();
        const answered = [...agents.confirmed];
        const broken = await deployment.inspect((raw) => findBrokenBookings(raw, store, answered));
        expect(broken, `after kill ${kill}`).toEqual([]);
        server = await deployment.start();
      }
      await agents.stop();
      expect(agents.taken).toBeGreaterThan(0);
      expect(await agents.findChangedReplays()).toEqual([]);
      const { confirmed } = agents;
      const broken = await deployment.inspect((raw) => findBrokenBookings(raw, store, confirmed));
      expect(broken).toEqual([]);

      // Each booking is told once, whatever its consumers were in the middle of.
      const told = { messages: confirmed.length, crm: confirmed.length, counted: confirmed.length };
      await eventually(
        "every booking is told",
        async () => JSON.stringify(await countTold(deployment)) === JSON.stringify(told),
        toldDeadlineMs,
      );
      await server.stop();
      expect(await countTold(deployment)).toEqual(told);
    },
  );
});

async function countTold({ store, inspect }: Deployment): Promise<Record<string, number>> {
  const [row] = await inspect((raw) =>
    raw.all(`select
      (select count(*) from forge_jobs where type = 'clinic-patient-message') as messages,
      (select count(*) from forge_jobs where type = 'clinic-crm-appointment') as crm,
      (select coalesce(sum(bookings), 0) from ${tableOf(store, "daily_bookings")}) as counted`),
  );
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, n]) => [name, Number(n)]));
}
