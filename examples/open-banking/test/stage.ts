import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  bringPython,
  createHttpClient,
  type Deployment,
  type HttpClient,
  type HttpResponse,
  type StoreName,
} from "@apiforge/testing";
import { validToken } from "@apiforge/testing/route-table";
import { serveDuringTests } from "@apiforge/testing/served";
import { afterAll, beforeAll } from "vitest";

/** The system alone over TLS, with the bank's service behind it. */
export interface Stage {
  readonly deployment: () => Deployment;
  /** A provider with its certificate. */
  readonly provider: () => HttpClient;
  /** Somebody without one. */
  readonly stranger: () => HttpClient;
  /** Speaks to the bank's service. */
  readonly bank: () => HttpClient;
  readonly log: () => string;
  /** Asks for the accounts of a customer, as the provider. */
  accounts(customer: string, headers?: Readonly<Record<string, string>>): Promise<HttpResponse>;
}

const entry = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Starts it before the tests of the surrounding suite and stops it after them. */
export function openBankingStage(store: StoreName): Stage {
  bringPython();
  const env = { APIFORGE_LOG_LEVEL: "info" };
  const { deployment, server } = serveDuringTests(store, { entry, env });
  let provider: HttpClient;
  let stranger: HttpClient;
  let bank: HttpClient;
  beforeAll(() => {
    const folder = join(deployment().dataDir, "open-banking");
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    const ca = read("authority.pem");
    const { url } = server();
    provider = createHttpClient(url, {
      ca,
      cert: read("provider.pem"),
      key: read("provider-key.pem"),
    });
    stranger = createHttpClient(url, { ca });
    bank = createHttpClient(/Accounts service on (\S+)/.exec(server().stdout())?.[1] ?? "");
  });
  afterAll(async () => {
    for (const client of [provider, stranger, bank]) await client.close();
  });
  return {
    deployment,
    provider: () => provider,
    stranger: () => stranger,
    bank: () => bank,
    log: () => server().stdout(),
    async accounts(customer, headers = {}) {
      const who = { subject: "usr_1", tenant: customer, role: "", scopes: ["accounts:read"] };
      const token = await validToken(deployment().dataDir, who);
      return provider.request({ path: "/open-banking/accounts", token, headers });
    },
  };
}
