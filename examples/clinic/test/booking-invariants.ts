import type { RawDatabase, RawRow, StoreName } from "@apiforge/testing";

import { tableOf, type Booked } from "./stage.ts";

/** A 201 that a client has received for a booking. */
export interface Confirmed {
  readonly key: string;
  readonly slotId: string;
  readonly body: string;
  readonly seq: number;
}

/**
 * What is broken of "one booking, one commit" in a database that saw nothing but bookings; empty
 * when nothing is. It holds at any instant, so also right after a kill: every appointment has one
 * slot, one event and one recorded 201 with the event's `seq`, none of these exists without it, no
 * slot has two, and every answer that a client got is recorded as it got it.
 */
export async function findBrokenBookings(
  raw: RawDatabase,
  store: StoreName,
  confirmed: readonly Confirmed[],
): Promise<string[]> {
  // One statement is one snapshot: a PostgreSQL may still be at work on what a dead server has sent.
  const rows = await raw.all(`
    select 'appointment' as part, id as content, slot_id as slot, 0 as seq, '' as idempotency_key
      from ${tableOf(store, "appointments")}
    union all select 'slot', appointment_id, id, 0, '' from ${tableOf(store, "appointment_slots")}
    union all select 'event', data, '', seq, '' from forge_events where type = 'APPOINTMENT_BOOKED'
    union all select 'answer', body, '', seq, idempotency_key from forge_idempotency where status = 201`);
  const parts = {
    appointment: byAppointment(rows, "appointment"),
    slot: byAppointment(rows, "slot"),
    event: byAppointment(rows, "event"),
    answer: byAppointment(rows, "answer"),
  };
  return [
    ...(await raw.integrityCheck()),
    ...findPartial(parts),
    ...findDoublyBooked(rows),
    ...findLost(parts, confirmed),
  ];
}

type Parts = Readonly<Record<"appointment" | "slot" | "event" | "answer", Groups>>;
type Groups = ReadonlyMap<string, readonly RawRow[]>;

/** The appointment that a row or an answer is about. */
function appointmentIdOf(text: string): string {
  return /appt_\w+/.exec(text)?.[0] ?? `no appointment in ${text}`;
}

function byAppointment(rows: readonly RawRow[], part: string): Groups {
  const own = rows.filter((row) => row["part"] === part);
  return Map.groupBy(own, (row) => appointmentIdOf(String(row["content"])));
}

function findPartial(parts: Parts): string[] {
  const ids = new Set(Object.values(parts).flatMap((groups) => [...groups.keys()]));
  return [...ids].flatMap((id) => {
    const counts = Object.entries(parts).map(
      ([part, groups]) => [part, groups.get(id)?.length ?? 0] as const,
    );
    const problems = counts
      .filter(([, count]) => count !== 1)
      .map(([part, count]) => `${id} has ${count} of: ${part}`);
    const answered = String(parts.answer.get(id)?.[0]?.["seq"]);
    const emitted = String(parts.event.get(id)?.[0]?.["seq"]);
    if (answered !== emitted) problems.push(`${id}: answered seq ${answered}, event ${emitted}`);
    return problems;
  });
}

function findDoublyBooked(rows: readonly RawRow[]): string[] {
  const appointments = rows.filter((row) => row["part"] === "appointment");
  return [...Map.groupBy(appointments, (row) => String(row["slot"]))]
    .filter(([, booked]) => booked.length > 1)
    .map(([slot, booked]) => `${slot} is booked ${booked.length} times`);
}

function findLost(parts: Parts, confirmed: readonly Confirmed[]): string[] {
  return confirmed.flatMap(({ key, slotId, body, seq }) => {
    const { appointmentId } = JSON.parse(body) as Booked;
    const [answer] = parts.answer.get(appointmentId) ?? [];
    const [slot] = parts.slot.get(appointmentId) ?? [];
    const problems: string[] = [];
    if (answer?.["idempotency_key"] !== key || answer["content"] !== body || answer["seq"] !== seq)
      problems.push(`the answer under ${key} is lost or altered`);
    if (slot?.["slot"] !== slotId)
      problems.push(`${slotId} was confirmed to ${key} and is not its`);
    return problems;
  });
}
