import type { StoreFixture } from "@apiforge/testing/contracts";
import { decodeJwt, decodeProtectedHeader } from "jose";

import type { Durable, Transaction } from "../../../src/durable/index.ts";
import { createTokenVerifier } from "../../../src/edge/index.ts";
import {
  Tokens,
  type NewClient,
  type NewSession,
  type RegisteredClient,
  type StartedSession,
  type TokenAnswer,
  type TokensOptions,
} from "../../../src/features/tokens/index.ts";
import { actor, Harness, type Node } from "../../durable/harness.ts";

export const minuteMs = 60_000;
export const dayMs = 86_400_000;
const secret = "a secret of at least thirty-two characters";
const issuer = "https://api.test";
const audience = "api";

/** One process of a deployment with tokens of its own. */
export interface TokenNode extends Pick<Node, "log" | "clock"> {
  readonly durable: Durable;
  readonly tokens: Tokens;
}

/** A node over the store of `harness`, which may have several. */
export async function tokenNode(
  harness: Harness,
  options: Partial<TokensOptions> & { readonly secret?: string } = {},
): Promise<TokenNode> {
  const { durable, log, clock } = harness.node();
  const { secret: own = secret, ...rest } = options;
  const tokens = new Tokens({ issuer, ...rest });
  await tokens.open({ durable, secret: own, audience, clock, log });
  return { durable, tokens, log, clock };
}

/** One node over a new store. */
export async function openNode(
  fixture: StoreFixture,
  options: Partial<TokensOptions> = {},
): Promise<TokenNode & AsyncDisposable & { readonly harness: Harness }> {
  const harness = await Harness.open(fixture);
  const node = await tokenNode(harness, options);
  return { ...node, harness, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

export function commit<T>(node: TokenNode, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return node.durable.transact("test", actor, work);
}

export function start(node: TokenNode, session: Partial<NewSession> = {}): Promise<StartedSession> {
  const whole = { subject: "usr_1", tenant: "ten_1", ...session };
  return commit(node, (tx) => node.tokens.startSession(tx, whole));
}

export function register(
  node: TokenNode,
  client: Partial<NewClient> = {},
): Promise<RegisteredClient> {
  const whole = { name: "billing", tenant: "ten_1", scopes: ["a", "b"], ...client };
  return commit(node, (tx) => node.tokens.registerClient(tx, whole));
}

/** What else a token request may carry. */
interface RequestOptions {
  readonly authorization?: string;
  readonly contentType?: string;
  readonly certificate?: string;
}

/** Asks the token endpoint with a form, given as text or by name. */
export function ask(
  { tokens }: TokenNode,
  form: string | Readonly<Record<string, string | undefined>>,
  options: RequestOptions = {},
): Promise<TokenAnswer> {
  const given = typeof form === "string" ? form : definedOnly(form);
  const request = {
    contentType: options.contentType ?? "application/x-www-form-urlencoded",
    authorization: options.authorization,
    certificate: options.certificate,
    body: Buffer.from(typeof given === "string" ? given : new URLSearchParams(given).toString()),
  };
  return tokens.opened.endpoint.answer(request, "req_token");
}

function definedOnly(form: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(form);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

export function refresh(node: TokenNode, token: string | undefined): Promise<TokenAnswer> {
  return ask(node, { grant_type: "refresh_token", refresh_token: token });
}

/** The refresh token of an answer; the refusal's code in brackets when it is one. */
export function refreshTokenOf(answer: TokenAnswer): string {
  return answer.status === 200 ? (answer.body.refresh_token ?? "") : `(${answer.body.error})`;
}

/** @throws {Error} with the refusal, when it is one. */
export function accessTokenOf(answer: TokenAnswer): string {
  if (answer.status === 200) return answer.body.access_token;
  throw new Error(answer.body.error_description);
}

/** Whom the node takes the bearer of `token` for. */
export function verify({ tokens, clock }: TokenNode, token: string) {
  const own = { issuer, audience, jwks: tokens.keys, tokenTypes: ["at+jwt"] };
  return createTokenVerifier({ issuers: [own], clock }).verify(token);
}

export function kidOf(token: string): string | undefined {
  return decodeProtectedHeader(token).kid;
}

export function claimsOf(token: string) {
  return decodeJwt(token);
}

/** Types and data of the events in the log. */
export async function events(harness: Harness): Promise<unknown[]> {
  const log = await harness.store.events.read(0, 1_000);
  return log.map(({ type, tenant, data }) => ({ type, tenant, ...JSON.parse(data) }));
}
