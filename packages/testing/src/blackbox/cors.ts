import assert from "node:assert/strict";
import { z } from "zod";

import type { Check } from "./check.ts";
import { describeAnswer, requestData, send, type Answer, type RequestData } from "./exchange.ts";

/** What a gateway lets pages of other origins do. */
export const corsTarget = z.strictObject({
  /** Every origin that may call. */
  origins: z.array(z.string()).min(1),
  /** Answers of every kind, errors of the gateway itself above all. */
  answers: z
    .array(
      z.strictObject({
        name: z.string(),
        request: requestData,
        status: z.int(),
        /** Sent up to so many times, until the status comes: for limits. */
        attempts: z.int().min(1).default(1),
      }),
    )
    .min(1),
  /** What browsers ask before they call, without any credentials. */
  preflights: z
    .array(
      z.strictObject({
        path: z.string().startsWith("/"),
        method: z.string(),
        headers: z.array(z.string()).default([]),
      }),
    )
    .min(1),
  maxAgeSeconds: z.int().optional(),
});
export type CorsTarget = z.infer<typeof corsTarget>;

const allowOrigin = "access-control-allow-origin";

/** What a gateway promises to pages of other origins (Fetch, section 3.3), on errors as on everything else. */
export function corsChecks(url: string, target: CorsTarget): readonly Check[] {
  const { origins } = target;
  const foreign = foreignOrigins(origins);
  const answers = target.answers.flatMap(({ name, ...wanted }): Check[] => [
    {
      name: `${name}: a page of an allowed origin may read it`,
      async run() {
        for (const origin of origins) assertAllowed(await ask(url, wanted, origin), origin);
      },
    },
    {
      name: `${name}: a page of another origin may not`,
      async run() {
        for (const origin of foreign) assertNotAllowed(await ask(url, wanted, origin), origin);
      },
    },
    {
      name: `${name}: caches are told that it depends on the origin`,
      async run() {
        for (const origin of [...origins, ...foreign, undefined]) {
          assertVaries(await ask(url, wanted, origin));
        }
      },
    },
  ]);
  const preflights = target.preflights.flatMap((asked): Check[] => {
    const name = `preflight of ${asked.method} ${asked.path}`;
    return [
      {
        name: `${name}: allowed without credentials, and for how long`,
        async run() {
          for (const origin of origins) {
            const answer = await send(url, preflightOf(asked, origin));
            assert.ok(answer.status >= 200 && answer.status < 300, describeAnswer(answer));
            assertAllowed(answer, origin);
            assertMayBeSent(answer, asked);
            if (target.maxAgeSeconds === undefined) continue;
            const maxAge = answer.headers["access-control-max-age"];
            assert.equal(maxAge, String(target.maxAgeSeconds), "Access-Control-Max-Age");
          }
        },
      },
      {
        name: `${name}: allows nothing to another origin`,
        async run() {
          for (const origin of foreign) {
            assertNotAllowed(await send(url, preflightOf(asked, origin)), origin);
          }
        },
      },
    ];
  });
  return [...answers, ...preflights];
}

interface Wanted {
  readonly request: RequestData;
  readonly status: number;
  readonly attempts: number;
}

async function ask(url: string, wanted: Wanted, origin: string | undefined): Promise<Answer> {
  const { request, status, attempts } = wanted;
  const more = origin === undefined ? {} : { origin };
  const sent = { ...request, headers: { ...request.headers, ...more } };
  let answer = await send(url, sent);
  for (let count = 1; count < attempts && answer.status !== status; count += 1) {
    answer = await send(url, sent);
  }
  assert.equal(answer.status, status, `it must be ${status}: ${describeAnswer(answer)}`);
  return answer;
}

/** What careless comparisons take for an allowed origin, and others. */
function foreignOrigins(origins: readonly string[]): readonly string[] {
  const near = origins.flatMap((origin) => {
    const { protocol, hostname } = new URL(origin);
    return [
      `${protocol}//evil-${hostname}`,
      `${protocol}//${hostname}.evil.example`,
      `${protocol}//evil.${hostname}`,
      `${protocol === "https:" ? "http:" : "https:"}//${hostname}`,
      `${protocol}//${hostname}:8443`,
      `${protocol}//${hostname.replace(".", "x")}`,
    ];
  });
  const all = [...near, "null", "https://evil.example"];
  return [...new Set(all)].filter((origin) => !origins.includes(origin));
}

function preflightOf(asked: CorsTarget["preflights"][number], origin: string): RequestData {
  const names = asked.headers.join(", ").toLowerCase();
  return {
    method: "OPTIONS",
    path: asked.path,
    headers: {
      origin,
      "access-control-request-method": asked.method,
      ...(names === "" ? {} : { "access-control-request-headers": names }),
    },
  };
}

function assertAllowed({ headers }: Answer, origin: string): void {
  // Two of them read as one value with a comma, which browsers refuse too.
  assert.equal(headers[allowOrigin], origin, `${allowOrigin} for ${origin}`);
}

function assertNotAllowed({ headers }: Answer, origin: string): void {
  const allowed = headers[allowOrigin];
  assert.ok(allowed !== origin && allowed !== "*", `${origin} must not be allowed: ${allowed}`);
}

function assertVaries({ headers }: Answer): void {
  const names = (headers["vary"] ?? "").split(",").map((name) => name.trim().toLowerCase());
  assert.ok(names.includes("origin") || names.includes("*"), `vary: ${headers["vary"]}`);
}

// Fetch, section 4.8: these need not be listed, and `*` stands for all but Authorization.
const plainMethods = ["GET", "HEAD", "POST"];
const plainHeaders = ["accept", "accept-language", "content-language"];

function assertMayBeSent(answer: Answer, asked: CorsTarget["preflights"][number]): void {
  const methods = listOf(answer, "access-control-allow-methods");
  // Methods are compared as they are written.
  const isMethod = [...plainMethods, ...methods].includes(asked.method) || isAny(answer, methods);
  assert.ok(isMethod, `access-control-allow-methods lacks ${asked.method}: ${methods.join(", ")}`);
  const listed = listOf(answer, "access-control-allow-headers").map((name) => name.toLowerCase());
  const missing = asked.headers.filter((header) => {
    const name = header.toLowerCase();
    const isListed = [...plainHeaders, ...listed].includes(name);
    return !isListed && (name === "authorization" || !isAny(answer, listed));
  });
  assert.deepEqual(missing, [], "missing from access-control-allow-headers");
}

function listOf({ headers }: Answer, field: string): readonly string[] {
  return (headers[field] ?? "").split(",").map((name) => name.trim());
}

/** To requests with credentials `*` is a name like any other. */
function isAny({ headers }: Answer, listed: readonly string[]): boolean {
  return listed.includes("*") && headers["access-control-allow-credentials"] !== "true";
}
