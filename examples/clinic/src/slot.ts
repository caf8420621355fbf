import { badRequest, notFound } from "apiforge";

/** A quarter of an hour of a practice's day, on the practice's own clock. */
export interface Slot {
  readonly id: string;
  /** `2026-04-24`. */
  readonly date: string;
  /** `10:00`. */
  readonly time: string;
}

const pattern = /^slot_(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})$/;
const slotMinutes = 15;
const opensAtMinute = 8 * 60;
const closesAtMinute = 18 * 60;

/**
 * The slot that an id names. Slots need no rows: every working quarter of an hour of every date is
 * one, and a booking makes its row.
 * @throws {invalid_slot} 400 when the id names no moment.
 * @throws {not_found} 404 for a moment at which no slot begins.
 */
export function readSlot(id: string): Slot {
  const [, year = "", month = "", day = "", hour = "", minute = ""] = pattern.exec(id) ?? [];
  const date = `${year}-${month}-${day}`;
  if (!isDate(date) || Number(hour) > 23 || Number(minute) > 59) {
    throw badRequest(
      "invalid_slot",
      "A slot is called slot_YYYYMMDD_HHMM, for example slot_20260424_1000.",
      "body.slotId",
    );
  }
  const startsAtMinute = Number(hour) * 60 + Number(minute);
  const isOpen = startsAtMinute >= opensAtMinute && startsAtMinute < closesAtMinute;
  if (!isOpen || startsAtMinute % slotMinutes !== 0) {
    throw notFound("There is no such slot: one begins every 15 minutes from 08:00 to 17:45.");
  }
  return { id, date, time: `${hour}:${minute}` };
}

function isDate(date: string): boolean {
  const instant = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(date);
}
