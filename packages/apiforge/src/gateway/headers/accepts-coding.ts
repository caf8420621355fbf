/** True for an `Accept-Encoding` that names `coding` (RFC 9110 section 12.5.3), and not only to refuse it. */
export function acceptsCoding(accepted: string, coding: string): boolean {
  return accepted.split(",").some((member) => {
    const [name = "", ...parameters] = member.split(";").map((part) => part.trim().toLowerCase());
    return name === coding && !parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter));
  });
}
