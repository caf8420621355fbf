import { expect, test } from "vitest";
import type { HttpClient, HttpRequest, HttpResponse } from "./http-client.ts";

/** One black-box exchange as data: what is sent, and everything about the answer that matters. */
export interface Scenario {
  readonly name: string;
  /** `token` is a name for {@link ScenarioRun.token}, not the token itself. */
  readonly request: Omit<HttpRequest, "signal">;
  readonly expect: ScenarioExpectation;
}

/** What a scenario expects. Absent members are not looked at. */
export interface ScenarioExpectation {
  readonly status: number;
  /** By lower-case name: the exact value, a pattern, or null for a header that must be absent. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>;
  /** Texts and patterns that the body must have. */
  readonly bodyHas?: readonly (string | RegExp)[];
  /** Texts and patterns that the body must not have. */
  readonly bodyHasNot?: readonly (string | RegExp)[];
  /** The error envelope, with these values, a message and the request id of the header. */
  readonly envelope?: {
    readonly type: string;
    readonly code: string;
    /** Absent = the envelope must not have one. */
    readonly param?: string;
  };
  /** The exchange leaves every count of {@link ScenarioRun.storedRows} as it was. */
  readonly stored?: "nothing";
}

/** What scenarios run against. The functions are called when a scenario runs, not before. */
export interface ScenarioRun {
  readonly client: () => HttpClient;
  /** The token of this name. */
  readonly token?: (name: string) => string | Promise<string>;
  /** Rows by table, for `stored: "nothing"`. */
  readonly storedRows?: () => Promise<Readonly<Record<string, number>>>;
}

/**
 * Registers one test per scenario.
 * @throws Error at once when a scenario names a token or says `stored` and `run` cannot tell.
 */
export function runScenarios(run: ScenarioRun, scenarios: readonly Scenario[]): void {
  for (const scenario of scenarios) {
    assertRunnable(run, scenario);
    const { name } = scenario;
    test(name, () => assertScenario(run, scenario));
  }
}

/** Performs one scenario and asserts what it expects. */
export async function assertScenario(run: ScenarioRun, scenario: Scenario): Promise<void> {
  const { token, ...request } = scenario.request;
  const before = await run.storedRows?.();
  const response = await run.client().request({
    ...request,
    ...(token === undefined || run.token === undefined ? {} : { token: await run.token(token) }),
  });
  checkResponse(response, scenario.expect);
  if (scenario.expect.stored === "nothing") {
    expect(await run.storedRows?.(), "rows stored by the request").toEqual(before);
  }
}

function assertRunnable(run: ScenarioRun, { name, request, expect: expected }: Scenario): void {
  if (request.token !== undefined && run.token === undefined) {
    throw new Error(`Scenario "${name}" needs the token ${request.token}: pass \`token\``);
  }
  if (expected.stored !== undefined && run.storedRows === undefined) {
    throw new Error(`Scenario "${name}" looks at stored rows: pass \`storedRows\``);
  }
}

function checkResponse(response: HttpResponse, expected: ScenarioExpectation): void {
  const { status, body } = response;
  expect(status, `status; the body was ${body}`).toBe(expected.status);
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    checkHeader(name, response.headers[name], value);
  }
  for (const part of expected.bodyHas ?? []) expect(body).toMatch(part);
  for (const part of expected.bodyHasNot ?? []) expect(body).not.toMatch(part);
  if (expected.envelope !== undefined) checkEnvelope(response, expected.envelope);
}

function checkHeader(
  name: string,
  actual: string | undefined,
  expected: string | RegExp | null,
): void {
  if (expected === null) expect(actual, `header ${name}`).toBeUndefined();
  else if (typeof expected === "string") expect(actual, `header ${name}`).toBe(expected);
  else expect(actual, `header ${name}`).toEqual(expect.stringMatching(expected));
}

function checkEnvelope(
  response: HttpResponse,
  expected: NonNullable<ScenarioExpectation["envelope"]>,
): void {
  expect(response.json()).toEqual({
    error: {
      ...expected,
      message: expect.stringMatching(/\S/),
      requestId: response.headers["x-request-id"] ?? "the value of a missing X-Request-Id",
    },
  });
}
