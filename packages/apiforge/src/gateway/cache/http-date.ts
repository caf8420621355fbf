const months = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const time = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";
const shortDay = "(?:mon|tue|wed|thu|fri|sat|sun)";
const longDay = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)";
const month = `(?<month>${months.join("|")})`;

/** RFC 9110 section 5.6.7: today's format, RFC 850's, and that of C's asctime(). */
const formats: readonly RegExp[] = [
  `^${shortDay}, (?<day>\\d\\d) ${month} (?<year>\\d{4}) ${time} gmt$`,
  `^${longDay}, (?<day>\\d\\d)-${month}-(?<year>\\d\\d) ${time} gmt$`,
  `^${shortDay} ${month} (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})$`,
].map((format) => new RegExp(format));

/** A date of a header field as epoch milliseconds; undefined for what is none. `now` gives years of two digits their century. */
export function parseHttpDate(value: string, now: number): number | undefined {
  const lowerCase = value.trim().toLowerCase();
  for (const format of formats) {
    const groups = format.exec(lowerCase)?.groups;
    if (groups !== undefined) return instant(groups, now);
  }
  return undefined;
}

function instant(groups: Readonly<Record<string, string>>, now: number): number | undefined {
  const { day = "", hour = "", minute = "", second = "", year = "" } = groups;
  const at = Date.UTC(
    fullYear(year, now),
    months.indexOf(groups["month"] ?? ""),
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const isReal = Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60;
  return isReal && new Date(at).getUTCDate() === Number(day) ? at : undefined;
}

/** More than 50 years ahead is in the past (RFC 9110 section 5.6.7). */
function fullYear(year: string, now: number): number {
  if (year.length === 4) return Number(year);
  const thisYear = new Date(now).getUTCFullYear();
  const inThisCentury = thisYear - (thisYear % 100) + Number(year);
  return inThisCentury > thisYear + 50 ? inThisCentury - 100 : inThisCentury;
}
