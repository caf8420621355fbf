import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hash } from "node:crypto";
import type { ManualClock } from "@apiforge/testing";
import type { OpenStore } from "@apiforge/testing/contracts";
import { apiKeys, type ApiKeys } from "../../../src/app/index.ts";
import { createDurable, type Durable } from "../../../src/durable/index.ts";
import {
  createDevIssuer,
  createEdge,
  createTokenVerifier,
  defineRoute,
  type AuthoriserOptions,
  type DevToken,
  type Edge,
  type Route,
} from "../../../src/edge/index.ts";
import {
  createKeyVerifier,
  KeyUsage,
  RevocationWatch,
} from "../../../src/features/identity/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { recordingLog, type LogLine } from "../../edge/edge-harness.ts";
import { z } from "zod";

const whoami = z.object({
  subject: z.string(),
  tenant: z.string(),
  role: z.string(),
  scopes: z.array(z.string()),
  plan: z.string().nullable(),
  credentialId: z.string().nullable(),
  keyMode: z.string().nullable(),
});

function whoamiRoute<const A extends "jwt" | "key" | "any" | "optional">(auth: A, path: string) {
  return defineRoute({
    method: "GET",
    path,
    auth,
    transaction: "none",
    replies: { 200: whoami, 204: null },
    handler: ({ principal }) =>
      principal === undefined
        ? { status: 204 }
        : {
            status: 200,
            body: {
              ...principal,
              plan: principal.plan ?? null,
              credentialId: principal.credentialId ?? null,
              keyMode: principal.keyMode ?? null,
            },
          },
  });
}

/** Routes that answer who called, one for each way to say so. */
const probes: readonly Route[] = [
  whoamiRoute("jwt", "/by-token"),
  whoamiRoute("key", "/by-key"),
  whoamiRoute("any", "/by-any"),
  whoamiRoute("optional", "/by-optional"),
];

/** One node of a deployment that takes keys, over a store that others may share. */
export interface KeyNode extends AsyncDisposable {
  readonly edge: Edge;
  readonly durable: Durable;
  readonly keys: ApiKeys;
  readonly clock: ManualClock;
  readonly lines: readonly LogLine[];
  /** An Authorization header with a token. */
  bearer(token?: Partial<DevToken>): Promise<string>;
  call(options: CallOptions): Promise<CallAnswer>;
  /** How often the store was asked for a key. */
  lookups(): number;
}

/** A request; `as` is a token's `Authorization`, `key` an API key. */
export interface CallOptions {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly url: string;
  readonly key?: string;
  readonly as?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Address that it comes from. */
  readonly from?: string;
}

export interface CallAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test says what it expects in there
  readonly body: any;
}

export interface KeyNodeOptions extends AuthoriserOptions {
  /** Default what the store says. False for one of several nodes in one process. */
  readonly singleProcess?: boolean;
  /** Besides those that answer who called. */
  readonly routes?: readonly Route[];
}

/** Starts a node. */
export async function startKeyNode(
  { store, clock }: Pick<OpenStore, "store" | "clock">,
  options: KeyNodeOptions = {},
): Promise<KeyNode> {
  const { singleProcess = store.capabilities.singleProcess, routes = [], ...authoriser } = options;
  const directory = await mkdtemp(join(tmpdir(), "keys-"));
  const { log, lines } = recordingLog();
  const durable = createDurable({ store, log: silentLog, jobs: [], consumers: [], clock });
  const issuer = await createDevIssuer({ directory, clock, log: silentLog });
  const secretFor = (purpose: string): Buffer => hash("sha256", `${purpose}:test`, "buffer");
  const keys = apiKeys();
  const revocations = new RevocationWatch({
    durable,
    clock,
    singleProcess,
    transactionLimitMs: 5_000,
  });
  keys.open?.({
    clock,
    keyMode: authoriser.keyMode,
    secretFor,
    forgetCallers: (tx, tenant) => revocations.revoke(tx, tenant),
  });
  const usage = new KeyUsage({ durable, clock, log });
  let lookups = 0;
  const countedRead: Durable["read"] = (label, work, tenant) => {
    lookups++;
    return durable.read(label, work, tenant);
  };
  const edge = createEdge({
    routes: [...keys.routes, ...probes, ...routes],
    durable,
    log,
    clock,
    keys: createKeyVerifier(secretFor("api-keys"), { read: countedRead }, clock, usage),
    verifier: createTokenVerifier({
      issuers: [{ issuer: issuer.issuer, audience: issuer.audience, jwks: issuer.jwks() }],
      clock,
    }),
    authoriser: { revocations, ...authoriser },
    cursorKey: new Uint8Array(32).fill(7),
    ready: () => store.check(),
    accessLog: {},
  });
  async function call(options: CallOptions): Promise<CallAnswer> {
    const { method = "GET", url, key, as, body } = options;
    const answer = await edge.inject({
      method,
      url,
      headers: {
        ...(key === undefined ? {} : { "x-api-key": key }),
        ...(as === undefined ? {} : { authorization: as }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { payload: body }),
      ...(options.from === undefined ? {} : { remoteAddress: options.from }),
    });
    const text = answer.body;
    const isJson = text.startsWith("{");
    return {
      status: answer.statusCode,
      text,
      headers: answer.headers,
      body: isJson ? answer.json() : undefined,
    };
  }
  return {
    edge,
    durable,
    keys,
    clock,
    lines,
    call,
    lookups: () => lookups,
    async bearer(token = {}) {
      const claims = { subject: "usr_1", tenant: "ten_1", role: "admin", ...token };
      return `Bearer ${await issuer.sign(claims)}`;
    },
    async [Symbol.asyncDispose]() {
      await edge.close();
      await usage.flush();
      await durable.stop(0);
      // The watch over slow bodies ends with its next look.
      clock.advance(5_000);
      await rm(directory, { recursive: true });
    },
  };
}
