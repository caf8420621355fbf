import {
  eventually,
  type Deployment,
  type HttpClient,
  type HttpResponse,
  type StoreName,
} from "@apiforge/testing";
import { serveDuringTests } from "@apiforge/testing/served";
import { expect } from "vitest";

/** The pair that a log-in and each refresh answer. */
export interface TokenPair {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** The example server on an empty store, and the phones of its users. */
export interface Stage {
  readonly deployment: () => Deployment;
  readonly client: () => HttpClient;
  /** Begins a log-in; answers its id. */
  begin(phone: string): Promise<string>;
  /** The `nth` code that comes to a phone, the first by default. */
  codeOf(phone: string, nth?: number): Promise<string>;
  prove(logInId: string, code: string): Promise<HttpResponse>;
  /** Logs in from beginning to end. */
  logIn(phone: string): Promise<TokenPair>;
  refresh(refreshToken: string): Promise<HttpResponse>;
  /** Makes the gateway of text messages fail as `fault` says. */
  setFault(fault: object): Promise<void>;
}

interface Delivery {
  readonly body: { readonly to: string; readonly body: string };
}

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function mobileStage(store: StoreName): Stage {
  const { deployment, client, providers } = serveDuringTests(store);

  async function begin(phone: string): Promise<string> {
    const answer = await client().request({
      method: "POST",
      path: "/mobile/log-ins",
      body: { phone },
    });
    expect(answer.status, answer.body).toBe(202);
    return (answer.json() as { logInId: string }).logInId;
  }

  async function codesOf(phone: string): Promise<readonly string[]> {
    const answer = await providers().request({ path: "/_sandbox/sms/messages" });
    const { messages } = answer.json() as { messages: readonly Delivery[] };
    return messages
      .filter(({ body }) => body.to === phone)
      .map(({ body }) => /^\d{6}/.exec(body.body)?.[0] ?? body.body);
  }

  async function codeOf(phone: string, nth = 1): Promise<string> {
    let codes: readonly string[] = [];
    await eventually("the code", async () => (codes = await codesOf(phone)).length >= nth);
    return String(codes[nth - 1]);
  }

  function prove(logInId: string, code: string): Promise<HttpResponse> {
    const path = `/mobile/log-ins/${logInId}/code`;
    return client().request({ method: "POST", path, body: { code } });
  }

  return {
    deployment,
    client,
    begin,
    codeOf,
    prove,
    async logIn(phone) {
      const answer = await prove(await begin(phone), await codeOf(phone));
      expect(answer.status, answer.body).toBe(200);
      return answer.json() as TokenPair;
    },
    refresh(refreshToken) {
      const form = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: refreshToken,
      });
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const rawBody = form.toString();
      return client().request({ method: "POST", path: "/oauth/token", headers, rawBody });
    },
    async setFault(fault) {
      await providers().request({ method: "PUT", path: "/_sandbox/sms/fault", body: fault });
    },
  };
}
