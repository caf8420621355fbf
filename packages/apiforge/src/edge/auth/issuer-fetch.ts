import type { Clock } from "../../kernel/index.ts";

const timeoutMs = 5_000;

/** As `fetch`, of a request that is given whole. */
export type Fetch = (
  url: string,
  init: RequestInit & { readonly signal: AbortSignal },
) => Promise<Response>;

/** What issuers are asked with. */
export interface IssuerServices {
  readonly clock: Clock;
  readonly fetch: Fetch;
}

/** One request to an issuer. */
export interface IssuerRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A longer answer is refused. */
  readonly maxBytes: number;
}

/** An answer of status 200. */
export interface IssuerAnswer {
  readonly body: unknown;
  readonly headers: Headers;
}

/**
 * Asks an issuer for JSON, for 5 s at most.
 * @throws {Error} for every answer but a whole one of status 200.
 */
export async function askIssuer(
  url: URL,
  { method, headers, body, maxBytes }: IssuerRequest,
  { clock, fetch }: IssuerServices,
): Promise<IssuerAnswer> {
  const controller = new AbortController();
  const timer = clock.after(timeoutMs, () => controller.abort());
  try {
    const response = await fetch(url.href, {
      method,
      headers: new Headers(headers),
      ...(body === undefined ? {} : { body }),
      // A redirect could lead off https.
      redirect: "manual",
      signal: controller.signal,
    });
    if (response.status !== 200) throw new Error(`The issuer answered ${response.status}`);
    return { body: JSON.parse(await boundedText(response, maxBytes)), headers: response.headers };
  } finally {
    timer.cancel();
  }
}

/**
 * Refuses an address on whose way somebody else could answer; on this machine there is no way.
 * @throws {TypeError} for one that is neither https nor on this machine.
 */
export function requireTrustworthy(url: URL): void {
  const { protocol, hostname } = url;
  const isLoopback =
    hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
  if (protocol === "https:" || (protocol === "http:" && isLoopback)) return;
  throw new TypeError(`An issuer is asked over https, not at ${url.href}`);
}

async function boundedText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new Error(`The answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
