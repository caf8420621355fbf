const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const time = "(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})";
const month = `(?<month>${months.join("|")})`;
const shortDay = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const longDay = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";

// In the order of RFC 9110 section 5.6.7: IMF-fixdate, then the two obsolete forms that a
// recipient must still accept, RFC 850 and asctime.
const forms = [
  new RegExp(`^${shortDay}, (?<day>\\d{2}) ${month} (?<year>\\d{4}) ${time} GMT$`),
  new RegExp(`^${longDay}, (?<day>\\d{2})-${month}-(?<year>\\d{2}) ${time} GMT$`),
  new RegExp(`^${shortDay} ${month} (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})$`),
];

/**
 * Epoch milliseconds of an HTTP-date (RFC 9110 section 5.6.7, all three forms), or undefined when
 * the text is none. `nowMs` settles the century of a two-digit year. The day of the week is not
 * compared with the date.
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  for (const form of forms) {
    const fields = form.exec(text)?.groups;
    if (fields !== undefined) return instantOf(fields, nowMs);
  }
  return undefined;
}

function instantOf(fields: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const day = Number(fields["day"]);
  const monthIndex = months.indexOf(fields["month"] ?? "");
  const hour = Number(fields["hour"]);
  const minute = Number(fields["minute"]);
  const second = Number(fields["second"]);
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(fullYear(fields["year"] ?? "", nowMs), monthIndex, day);
  // A day beyond the month's end would roll over into the next month.
  if (date.getUTCDate() !== day) return undefined;
  return date.setUTCHours(hour, minute, second);
}

/** A two-digit year that looks more than 50 years ahead is the latest past one (RFC 9110 5.6.7). */
function fullYear(digits: string, nowMs: number): number {
  const year = Number(digits);
  if (digits.length === 4) return year;
  const thisYear = new Date(nowMs).getUTCFullYear();
  const candidate = thisYear - (thisYear % 100) + year;
  return candidate > thisYear + 50 ? candidate - 100 : candidate;
}
