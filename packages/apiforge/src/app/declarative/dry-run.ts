import { ApiForgeError, silentLog, systemClock } from "../../kernel/index.ts";
import {
  createEdge,
  createTokenVerifier,
  plainAnswer,
  stage,
  stageOrder,
  type DurableBackend,
  type Edge,
  type Exchange,
  type KeyVerifier,
  type LeaseSource,
  type PlacedStage,
  type Relay,
  type Route,
} from "../../edge/index.ts";
import { trustedIssuers } from "../forge.ts";
import { clientCertificates, readTlsFiles } from "../tls-files.ts";
import type { Config } from "../config.ts";
import type { CompiledGateway } from "./compile.ts";

/** A request to be explained. */
export interface ExplainedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What would become of a request. */
export interface Verdict {
  /** `unknown`: it depends on an API key, which only a running server looks up. */
  readonly outcome: "passes" | "answered" | "refused" | "unknown";
  /** The stage that decided; undefined for a request that passes all. */
  readonly stage: string | undefined;
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string | undefined;
  /** The route that it is for. */
  readonly route: Route | undefined;
}

/** The header that stands for "all stages have let it pass": nothing of ours has this name. */
const passedStatus = 299;
const notLookedUp = "not_looked_up";

/**
 * Sends one request through the stages of a gateway that serves nobody: no upstream is asked, no handler
 * is run, no store is opened. Limits begin with nothing spent.
 */
export async function dryRun(
  gateway: CompiledGateway,
  settings: Config,
  request: ExplainedRequest,
): Promise<Verdict> {
  const seen: { route?: Route | undefined; passed: string | undefined } = { passed: undefined };
  const originals = new Map<Route, Route>();
  const routes = gateway.routes.map((route) => {
    const dry = { ...route, relay: passing };
    originals.set(dry, route);
    return dry;
  });
  const edge = await dryEdge(gateway, settings, routes, probes(gateway.stages, seen));
  try {
    const { method, path: url, headers, body } = request;
    const answer = await edge.inject({
      method,
      url,
      headers: { ...headers },
      ...(body === undefined ? {} : { payload: body }),
    });
    const route = seen.route && originals.get(seen.route);
    return verdictOf(answer.statusCode, answer.body, { ...seen, route }, gateway.stages);
  } finally {
    await edge.close();
  }
}

function verdictOf(
  status: number,
  body: string,
  { passed, route }: { readonly passed: string | undefined; readonly route: Route | undefined },
  stages: readonly PlacedStage[],
): Verdict {
  if (status === passedStatus) {
    return {
      outcome: "passes",
      stage: undefined,
      status: 200,
      code: undefined,
      message: undefined,
      route,
    };
  }
  const { code, message } = errorOf(body);
  const refusal = code === notLookedUp ? "unknown" : "refused";
  const outcome = code === undefined ? "answered" : refusal;
  return { outcome, stage: stageAfter(passed, stages), status, code, message, route };
}

function errorOf(body: string): { readonly code?: string; readonly message?: string } {
  try {
    const { error } = JSON.parse(body) as { readonly error?: { code: string; message: string } };
    return error ?? {};
  } catch {
    return {};
  }
}

/** All stages in the order in which they are entered: those of a place, then the application's behind it. */
function inOrder(stages: readonly PlacedStage[]): readonly string[] {
  return stageOrder.flatMap((place) => [
    place,
    ...stages.filter(({ after }) => after === place).map(({ name }) => name),
  ]);
}

function stageAfter(passed: string | undefined, stages: readonly PlacedStage[]): string {
  const order = inOrder(stages);
  return order[passed === undefined ? 0 : order.indexOf(passed) + 1] ?? "backend";
}

/** The application's stages with one behind each stage that notes how far the request has come. */
function probes(
  stages: readonly PlacedStage[],
  seen: { route?: Route | undefined; passed: string | undefined },
): readonly PlacedStage[] {
  const noting = (after: PlacedStage["after"], name: string, number: number): PlacedStage =>
    stage(`passed-${number}`, after, () => ({
      enter(exchange: Exchange) {
        seen.passed = name;
        seen.route = exchange.route;
      },
    }));
  let number = 0;
  return stageOrder
    .filter((place) => place !== "backend")
    .flatMap((place) => {
      const own = stages.filter(({ after }) => after === place);
      const behind = own.flatMap((one) => [one, noting(place, one.name, number++)]);
      return [noting(place, place, number++), ...behind];
    });
}

const passing: Relay = {
  backend: { open: () => undefined, close: async () => undefined },
  takesWebSockets: false,
  begin: (exchange, responder) => responder.answer(exchange, plainAnswer(passedStatus)),
};

async function dryEdge(
  gateway: CompiledGateway,
  settings: Config,
  routes: readonly Route[],
  stages: readonly PlacedStage[],
): Promise<Edge> {
  const { issuers } = await trustedIssuers(settings, silentLog, undefined);
  const files = await readTlsFiles(settings);
  const certificates = clientCertificates(files, settings, systemClock, undefined);
  const { limits, cors } = gateway;
  return createEdge({
    routes,
    stages,
    durable: noStore,
    verifier: createTokenVerifier({
      issuers: [...issuers, ...gateway.issuers],
      introspection: undefined,
      clock: systemClock,
    }),
    keys: noKeys,
    leases: allGranted,
    log: silentLog,
    clock: systemClock,
    cursorKey: new Uint8Array(32),
    ready: async () => undefined,
    ...(limits === undefined ? {} : { limits }),
    ...(cors === undefined ? {} : { cors }),
    ...(certificates === undefined ? {} : { certificates }),
  });
}

function notOpened(): never {
  throw new TypeError("No store is opened to explain a request");
}

const noStore: DurableBackend = {
  execute: notOpened,
  read: notOpened,
  get batches(): never {
    return notOpened();
  },
  get upstreamCalls(): never {
    return notOpened();
  },
};

const noKeys: KeyVerifier = {
  verify() {
    throw new ApiForgeError(
      notLookedUp,
      { type: "api_error", status: 503, retryable: false },
      "API keys are in the store, where only a running server looks them up",
    );
  },
  used: () => undefined,
};

const allGranted: LeaseSource = {
  lease: async (asks) =>
    asks.map(({ needed, limit }) => ({
      granted: needed,
      endsAt: 0,
      usableMs: 60_000,
      remaining: limit - needed,
      resetInMs: 0,
    })),
};
