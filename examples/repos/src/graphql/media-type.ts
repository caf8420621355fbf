/** The media types of a response (GraphQL over HTTP, section 4.1). */
export const responseTypes = ["application/graphql-response+json", "application/json"] as const;
export type ResponseType = (typeof responseTypes)[number];

/**
 * The type that an `Accept` header prefers of the two: the named one of the greater weight, with equal
 * weights the first. Without a name among them `application/json`, which every client can read.
 */
export function responseType(accept = ""): ResponseType {
  const weights = responseTypes.map((type) => weightOf(type, accept));
  const [own = 0, json = 0] = weights;
  return own > 0 && own >= json ? responseTypes[0] : responseTypes[1];
}

function weightOf(type: string, accept: string): number {
  for (const part of accept.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    if (name !== type) continue;
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    return Number(weight) || 0;
  }
  return 0;
}
