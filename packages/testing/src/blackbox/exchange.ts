import { randomUUID } from "node:crypto";
import { z } from "zod";

/** Header fields of a request, the caller's credentials among them. */
export const fields = z.record(z.string(), z.string());
export type Fields = z.infer<typeof fields>;

/** A request as data. `{mark}` in path and body stands for text that no other request has. */
export const requestData = z.strictObject({
  method: z.string().default("GET"),
  path: z.string().startsWith("/"),
  headers: fields.default({}),
  /** Sent as JSON. */
  body: z.unknown().optional(),
});
export type RequestData = z.infer<typeof requestData>;

/** A whole answer. */
export interface Answer {
  readonly status: number;
  /** By lower-case name; several lines of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Text that no other request has. */
export function newMark(): string {
  return `mark-${randomUUID()}`;
}

/** `request` with its mark filled in, and with `more` header fields. */
export function withMark(request: RequestData, mark: string, more: Fields = {}): RequestData {
  return filled({ ...request, headers: { ...request.headers, ...more } }, { mark });
}

/** `request` with each `{name}` of `values` filled in, wherever it stands; in the path percent-encoded. */
export function filled(
  { path, ...rest }: RequestData,
  values: Readonly<Record<string, string>>,
): RequestData {
  let [inPath, inRest] = [path, JSON.stringify(rest)];
  for (const [name, value] of Object.entries(values)) {
    inPath = inPath.replaceAll(`{${name}}`, () => encodeURIComponent(value));
    inRest = inRest.replaceAll(`{${name}}`, () => JSON.stringify(value).slice(1, -1));
  }
  return { ...(JSON.parse(inRest) as Omit<RequestData, "path">), path: inPath };
}

/** Sends `request` to the gateway at `url`, whose answer is taken as it is: no redirect is followed. */
export async function send(url: string, request: RequestData): Promise<Answer> {
  const { method, path, headers, body } = request;
  const sent =
    body === undefined
      ? { headers }
      : {
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(body),
        };
  // Below the path of the address, where it has one: a stage's name, on some gateways.
  const address = `${url.replace(/\/+$/, "")}${path}`;
  const response = await fetch(address, { method, redirect: "manual", ...sent });
  const text = await response.text();
  return { status: response.status, headers: Object.fromEntries(response.headers), body: text };
}

/** One line about an answer, for the message of a failed check. */
export function describeAnswer({ status, body }: Answer): string {
  return `${status} ${body.slice(0, 300)}`;
}
