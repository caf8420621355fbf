import {
  eventually,
  type Deployment,
  type HttpClient,
  type HttpResponse,
  type StoreName,
} from "@apiforge/testing";
import { serveDuringTests } from "@apiforge/testing/served";
import { expect } from "vitest";

/** A mail that arrived in the sandbox. */
export interface Mail {
  readonly from: string;
  readonly subject: string;
  readonly text: string;
  readonly messageId: string;
  readonly accepted: boolean;
}

/** What a verified registration answers. */
export interface RegisteredKey {
  readonly id: string;
  readonly key: string;
  readonly plan: string;
}

/** The example server on an empty store, and the mail of its developers. */
export interface Stage {
  readonly deployment: () => Deployment;
  readonly client: () => HttpClient;
  register(email: string): Promise<HttpResponse>;
  /** Waits for the `nth` mail to an address, the first by default; one that was refused counts. */
  mailTo(email: string, nth?: number): Promise<Mail>;
  verify(code: string): Promise<HttpResponse>;
  /** Gets a key from beginning to end. */
  keyFor(email: string): Promise<RegisteredKey>;
  /** Reads with a key. */
  get(path: string, key: string, headers?: Readonly<Record<string, string>>): Promise<HttpResponse>;
  /** A key of a plan, made by an administrator. */
  keyOfPlan(plan: string): Promise<RegisteredKey>;
  /** Makes the mail server fail as `fault` says. */
  setFault(fault: object): Promise<void>;
}

/** The code that a mail carries. */
export function codeIn({ text }: Mail): string {
  return /"code":"([\w-]+)"/.exec(text)?.[1] ?? `no code in ${text}`;
}

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function publicApiStage(store: StoreName): Stage {
  const { deployment, client, providers } = serveDuringTests(store);

  function register(email: string): Promise<HttpResponse> {
    return client().request({ method: "POST", path: "/public-api/registrations", body: { email } });
  }

  async function mailTo(email: string, nth = 1): Promise<Mail> {
    let mails: readonly (Mail & { readonly to: readonly string[] })[] = [];
    await eventually("the mail", async () => {
      const answer = await providers().request({ path: "/_sandbox/mail/messages" });
      const { messages } = answer.json() as { messages: typeof mails };
      mails = messages.filter(({ to }) => to.includes(email));
      return mails.length >= nth;
    });
    return mails[nth - 1] as Mail;
  }

  function verify(code: string): Promise<HttpResponse> {
    const path = "/public-api/registrations/verify";
    return client().request({ method: "POST", path, body: { code } });
  }

  function keyIn(answer: HttpResponse): RegisteredKey {
    expect(answer.status, answer.body).toBe(201);
    return answer.json() as RegisteredKey;
  }

  return {
    deployment,
    client,
    register,
    mailTo,
    verify,
    async keyFor(email) {
      expect((await register(email)).status).toBe(202);
      return keyIn(await verify(codeIn(await mailTo(email))));
    },
    get: (path, key, headers = {}) =>
      client().request({ path, headers: { "x-api-key": key, ...headers } }),
    async keyOfPlan(plan) {
      const token = await deployment().token({ sub: "usr_sales", tenant: `ten_${plan}` });
      const body = { name: "Sold", mode: "live", scopes: ["stations:read"], plan };
      return keyIn(await client().request({ method: "POST", path: "/v1/keys", token, body }));
    },
    async setFault(fault) {
      await providers().request({ method: "PUT", path: "/_sandbox/mail/fault", body: fault });
    },
  };
}
