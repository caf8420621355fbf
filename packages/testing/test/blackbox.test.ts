import { gatewayChecks, runChecks } from "@apiforge/testing/blackbox";
import { describe, expect, test } from "vitest";

import { describedGateway, describedKeys } from "./fixtures/described-gateway.ts";
import { startWrongGateway, type Fault } from "./fixtures/wrong-gateway.ts";

/** Names of the checks that fail; those of one suite alone where `suite` is given. */
async function failuresOf(fault: Fault | undefined, suite?: string): Promise<readonly string[]> {
  await using wrong = await startWrongGateway(fault);
  const checks = gatewayChecks({ ...describedGateway(wrong.url), keys: describedKeys });
  const asked = checks.filter(({ name }) => suite === undefined || name.startsWith(suite));
  const outcomes = await runChecks(asked);
  return outcomes.filter(({ failure }) => failure !== undefined).map(({ name }) => name);
}

test("a gateway that is not ours and does what it should passes every check", async () => {
  expect(await failuresOf(undefined)).toEqual([]);
});

const repeat = "a repeat has the answer of the first and no effect of its own";
const parallel = "of 100 at once one is executed; the others get its answer or 409";
const payload = "a key that comes with another payload is 422 and has no effect";
const alias = "X-Idempotency-Key means the same as Idempotency-Key";
const bare = "a key without quotes is the same as in quotes";

describe("a gateway that does not keep idempotency keys is seen", () => {
  test.for([
    [
      "forgets keys",
      [
        repeat,
        parallel,
        payload,
        "a key that is empty, or has no end, is 400 and has no effect",
        alias,
        bare,
      ],
    ],
    ["looks before it writes the key", [parallel]],
    ["does not compare payloads", [payload]],
    ["shares keys among callers", ["the same key of another caller (1) is another key"]],
    ["shares keys among routes", ["the same key on another route is another key"]],
    ["records failures", ["a failure of the server is not recorded: the repeat is executed"]],
    ["executes without a key", ["a request without a key is 400 where one is required"]],
    ["replays reads", ["a read ignores the field"]],
    ["does not mark replays", [repeat, parallel, payload, alias, bare]],
    ["takes any key", ["a key that is empty, or has no end, is 400 and has no effect"]],
    ["does not know the alias", [alias]],
    ["takes quotes for a part of the key", [bare]],
  ] as const)("%s", async ([fault, names]) => {
    expect(await failuresOf(fault, "idempotency")).toEqual(
      names.map((name) => `idempotency: ${name}`),
    );
  });
});

const atOnce = "of more requests at once exactly the limit is admitted";
const oneByOne = "one by one the limit is admitted, and then no more";
const tells = "every answer tells the policy and what is left of it";
const whenToCome = "a refusal says when to come again";
const apart = "a caller who is over the limit takes nothing from another";
const legacy = "X-Rate-Limit-* tell the same";
const noWindow = "no window, wherever it begins, has more; and who waits as told is admitted";

describe("a gateway that does not keep limits is seen", () => {
  test.for([
    ["admits one too many", [atOnce, oneByOne, whenToCome, apart, noWindow]],
    ["counts fixed windows", [noWindow]],
    ["counts all callers together", [oneByOne, tells, apart]],
    ["refusals are counted too", [noWindow]],
    ["no RateLimit fields", [tells, whenToCome, legacy]],
    ["RateLimit of draft 06", [tells, whenToCome, legacy]],
    ["no Retry-After", [whenToCome, noWindow]],
    ["Retry-After too early", [whenToCome, noWindow]],
    ["no X-Rate-Limit fields", [legacy]],
  ] as const)("%s", async ([fault, names]) => {
    expect(await failuresOf(fault, "limits")).toEqual(names.map((name) => `limits: ${name}`));
  });
});

const preflight = "preflight of POST /things";

describe("a gateway that lets the wrong pages read, or the right ones not, is seen", () => {
  test.for([
    [
      "reflects every origin",
      [
        "an answer: a page of another origin may not",
        "a refusal: a page of another origin may not",
        `${preflight}: allows nothing to another origin`,
      ],
    ],
    [
      "compares by the end of the name",
      [
        "an answer: a page of another origin may not",
        "a refusal: a page of another origin may not",
        `${preflight}: allows nothing to another origin`,
      ],
    ],
    [
      "no CORS on errors",
      [
        "a refusal: a page of an allowed origin may read it",
        "a refusal: caches are told that it depends on the origin",
      ],
    ],
    [
      "no Vary",
      [
        "an answer: caches are told that it depends on the origin",
        "a refusal: caches are told that it depends on the origin",
      ],
    ],
    ["preflights need a token", [`${preflight}: allowed without credentials, and for how long`]],
    [
      "Access-Control-Allow-Origin twice",
      [
        "an answer: a page of an allowed origin may read it",
        "a refusal: a page of an allowed origin may read it",
        `${preflight}: allowed without credentials, and for how long`,
      ],
    ],
  ] as const)("%s", async ([fault, names]) => {
    expect(await failuresOf(fault, "cors")).toEqual(names.map((name) => `cors: ${name}`));
  });
});

describe("a gateway that does not say what ends is seen", () => {
  const works = "GET /old (200)";
  const fails = "GET /old/nothing (404)";
  const gone = "GET /ended is gone after its sunset, and says when that was";
  const since = "says since when it is deprecated";
  const ends = "says when it ends";
  test.for([
    [
      "no deprecation on errors",
      [`${fails} ${since}`, `${fails} ${ends}`, `${fails} links to its successor`],
    ],
    [
      "Deprecation: true",
      [`${works} ${since}`, `${works} ${ends}`, `${fails} ${since}`, `${fails} ${ends}`],
    ],
    ["Sunset as ISO 8601", [`${works} ${ends}`, `${fails} ${ends}`]],
    ["serves after the sunset", [gone]],
    ["deprecates everything", ["GET /public is not said to be deprecated"]],
  ] as const)("%s", async ([fault, names]) => {
    expect(await failuresOf(fault, "deprecation")).toEqual(
      names.map((name) => `deprecation: ${name}`),
    );
  });
});

describe("a gateway that does not keep keys is seen", () => {
  const taken = "a new key is taken";
  const noKey = "what is no key is refused";
  const once = "a key is told once";
  const both = "after a rotation the new text and the old one are taken, for one key";
  const lossless = "no request is refused while a key is rotated";
  const ended = "a rotation without an overlap ends the old text at once";
  const revoked = "a revoked key is refused from its next request on, with all its texts";
  test.for([
    ["refuses new keys", [taken, both, lossless, ended, revoked]],
    ["compares the beginning of keys", [noKey]],
    ["shows keys again", [once]],
    ["rotation ends the old text", [both, lossless, revoked]],
    ["rotation is not at once", [ended]],
    ["rotation makes another key", [both]],
    ["revokes the latest text only", [revoked]],
    ["remembers what it has verified", [ended, revoked]],
    ["refuses while it rotates", [lossless]],
  ] as const)("%s", async ([fault, names]) => {
    expect(await failuresOf(fault, "keys")).toEqual(names.map((name) => `keys: ${name}`));
  });
});

test("what is no description of a gateway is refused with what is wrong about it", () => {
  const described = describedGateway("http://127.0.0.1:9");
  const wrong = { ...described, cors: { ...described.cors, origins: [] } };
  expect(() => gatewayChecks(wrong as typeof described)).toThrow("origins");
});
