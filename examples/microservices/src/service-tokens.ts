import { request } from "node:https";

import type { Identity } from "./identity.ts";

/** Of a token's life, so that none is over when it arrives. */
const spareMs = 30_000;

/**
 * Tokens of a service, by `client_credentials`. It proves itself by its certificate, so there is no
 * secret, and the tokens are good over connections with that certificate alone (RFC 8705).
 */
export class ServiceTokens {
  readonly #gatewayUrl: () => string;
  readonly #clientId: string;
  readonly #identity: Identity;
  #token: { readonly value: string; readonly goodUntilAt: number } | undefined;

  constructor(gatewayUrl: () => string, clientId: string, identity: Identity) {
    this.#gatewayUrl = gatewayUrl;
    this.#clientId = clientId;
    this.#identity = identity;
  }

  /** The value of an `Authorization` header. */
  async bearer(): Promise<string> {
    if (this.#token === undefined || Date.now() >= this.#token.goodUntilAt) {
      const { access_token: value, expires_in: seconds } = await this.#fetch();
      this.#token = { value, goodUntilAt: Date.now() + seconds * 1_000 - spareMs };
    }
    return `Bearer ${this.#token.value}`;
  }

  async #fetch(): Promise<{ readonly access_token: string; readonly expires_in: number }> {
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: this.#clientId,
    });
    const { status, body } = await post(
      `${this.#gatewayUrl()}/oauth/token`,
      form.toString(),
      this.#identity,
    );
    if (status !== 200) throw new Error(`No token: ${status} ${body}`);
    return JSON.parse(body) as { access_token: string; expires_in: number };
  }
}

function post(url: string, form: string, { key, cert, ca }: Identity) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  request(url, { method: "POST", key, cert, ca, headers }, (answer) => {
    let body = "";
    answer.on("data", (piece: Buffer) => (body += piece.toString()));
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
  })
    .on("error", reject)
    .end(form);
  return promise;
}
