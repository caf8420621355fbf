import assert from "node:assert/strict";
import { parseItem } from "structured-headers";
import { z } from "zod";

import type { Check } from "./check.ts";
import { describeAnswer, requestData, send, type Answer, type RequestData } from "./exchange.ts";

const instant = z.iso.datetime();

/** What a gateway serves on its way out, and what is over. */
export const deprecationTarget = z.strictObject({
  /** Requests of deprecated routes, those among them that fail. */
  deprecated: z
    .array(
      z.strictObject({
        request: requestData,
        status: z.int(),
        at: instant,
        sunsetAt: instant.optional(),
        /** As it is linked to. */
        successor: z.string().optional(),
      }),
    )
    .min(1),
  /** Requests of routes after their sunset. */
  ended: z.array(requestData).default([]),
  /** Requests of routes that nothing is said about. */
  current: z.array(requestData).default([]),
});
export type DeprecationTarget = z.infer<typeof deprecationTarget>;

type Deprecated = DeprecationTarget["deprecated"][number];

// IMF-fixdate of RFC 9110 section 5.6.7.
const httpDate =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;

/** What a gateway promises to callers of a version on its way out (RFC 9745, RFC 8594). */
export function deprecationChecks(url: string, target: DeprecationTarget): readonly Check[] {
  const told = target.deprecated.flatMap((deprecated): Check[] => {
    const { request, status, sunsetAt, successor } = deprecated;
    const name = `${nameOf(request)} (${status})`;
    async function call(): Promise<Answer> {
      const answer = await send(url, request);
      assert.equal(answer.status, status, `it must be ${status}: ${describeAnswer(answer)}`);
      return answer;
    }
    const checks: Check[] = [
      {
        name: `${name} says since when it is deprecated`,
        run: async () => assertDeprecation(await call(), deprecated),
      },
    ];
    if (sunsetAt !== undefined) {
      checks.push({
        name: `${name} says when it ends`,
        run: async () => assertSunset(await call(), sunsetAt),
      });
    }
    if (successor !== undefined) {
      checks.push({
        name: `${name} links to its successor`,
        run: async () => assertSuccessor(await call(), successor),
      });
    }
    return checks;
  });
  const ended = target.ended.map((request): Check => {
    return {
      name: `${nameOf(request)} is gone after its sunset, and says when that was`,
      async run() {
        const answer = await send(url, request);
        assert.equal(answer.status, 410, `it must be 410: ${describeAnswer(answer)}`);
        const sunsetMs = sunsetOf(answer);
        assert.ok(sunsetMs <= Date.now(), "a sunset in the past");
        assert.ok(deprecationOf(answer) <= sunsetMs, "deprecated before its sunset");
      },
    };
  });
  const current = target.current.map((request): Check => {
    return {
      name: `${nameOf(request)} is not said to be deprecated`,
      async run() {
        const { headers } = await send(url, request);
        for (const field of ["deprecation", "sunset"]) {
          assert.equal(headers[field], undefined, field);
        }
      },
    };
  });
  return [...told, ...ended, ...current];
}

function nameOf({ method, path }: RequestData): string {
  return `${method} ${path}`;
}

function assertDeprecation(answer: Answer, { at }: Deprecated): void {
  assert.equal(new Date(deprecationOf(answer)).getTime(), Date.parse(at), "Deprecation");
}

/** Epoch milliseconds. */
function deprecationOf({ headers }: Answer): number {
  const text = headers["deprecation"] ?? "missing";
  const [value] = parseItem(text);
  assert.ok(value instanceof Date, `Deprecation is a Date of RFC 9651: ${text}`);
  return value.getTime();
}

function assertSunset(answer: Answer, sunsetAt: string): void {
  const sunsetMs = sunsetOf(answer);
  assert.equal(sunsetMs, Date.parse(sunsetAt), "Sunset");
  assert.ok(deprecationOf(answer) <= sunsetMs, "Sunset not before Deprecation");
}

/** Epoch milliseconds. */
function sunsetOf({ headers }: Answer): number {
  const text = headers["sunset"] ?? "missing";
  assert.match(text, httpDate, "Sunset is an HTTP date");
  return Date.parse(text);
}

function assertSuccessor({ headers }: Answer, successor: string): void {
  const links = (headers["link"] ?? "").split(/,\s*(?=<)/).map((link) => {
    const [target = "", ...parameters] = link.split(";").map((part) => part.trim());
    return { target, parameters };
  });
  const found = links.filter(({ parameters }) =>
    parameters.some((parameter) => /^rel="?successor-version"?$/i.test(parameter)),
  );
  const targets = found.map(({ target }) => target);
  assert.deepEqual(targets, [`<${successor}>`], "Link with rel successor-version");
}
