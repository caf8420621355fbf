import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bringPython,
  createHttpClient,
  ManualClock,
  type HttpClient,
  type HttpResponse,
} from "@apiforge/testing";
import { createDurable } from "apiforge/internal/durable";
import {
  ClientCertificates,
  createDevIssuer,
  createEdge,
  createTokenVerifier,
} from "apiforge/internal/edge";
import { silentLog } from "apiforge/internal/kernel";
import { openSqliteStore } from "apiforge/internal/store/sqlite";

import { openBanking, openBankingCertificates, startAccountsService } from "../src/index.ts";
import { accountsUpstream } from "../src/routes.ts";

/** The system with the bank's service behind it, by a clock that stands still until it is moved. */
export interface TimedBank extends AsyncDisposable {
  readonly clock: ManualClock;
  /** Speaks to the bank's service. */
  readonly bank: HttpClient;
  /** Asks for the accounts of a customer, as the provider. */
  accounts(customer: string, headers?: Readonly<Record<string, string>>): Promise<HttpResponse>;
}

/** Starts it behind a proxy on this machine that ends TLS and says the provider's certificate. */
export async function startTimedBank(): Promise<TimedBank> {
  bringPython();
  const directory = await mkdtemp(join(tmpdir(), "open-banking-"));
  const files = await openBankingCertificates(join(directory, "certificates"));
  const service = await startAccountsService();
  // The certificates were made by the machine's.
  const clock = new ManualClock(Date.now());
  const store = await openSqliteStore({
    ...{ path: ":memory:", migrations: [], transactionLimitMs: 5_000 },
    ...{ log: silentLog, clock },
  });
  const issuer = await createDevIssuer({ directory, clock, log: silentLog });
  const ca = await readFile(files.authorityFile, "utf8");
  const { routes = [], stages = [] } = openBanking({
    accounts: accountsUpstream(service.url, clock),
    record: () => Promise.resolve(),
  });
  const edge = createEdge({
    routes,
    stages,
    durable: createDurable({ store, log: silentLog, clock, jobs: [], consumers: [] }),
    verifier: createTokenVerifier({
      issuers: [{ issuer: issuer.issuer, audience: issuer.audience, jwks: issuer.jwks() }],
      clock,
    }),
    certificates: new ClientCertificates({ ca, clock, trustedProxies: ["127.0.0.1"] }),
    cursorKey: new Uint8Array(32),
    ready: () => store.check(),
    log: silentLog,
    clock,
  });
  const { url } = await edge.listen({ port: 0, host: "127.0.0.1" });
  const provider = createHttpClient(url);
  const bank = createHttpClient(service.url);
  const { raw } = new X509Certificate(await readFile(files.providerCertFile));
  const certificate = { "client-cert": `:${raw.toString("base64")}:` };
  return {
    clock,
    bank,
    async accounts(customer, headers = {}) {
      const token = await issuer.sign({
        subject: "usr_1",
        tenant: customer,
        role: "",
        scopes: ["accounts:read"],
      });
      const path = "/open-banking/accounts";
      return provider.request({ path, token, headers: { ...certificate, ...headers } });
    },
    async [Symbol.asyncDispose]() {
      await provider.close();
      await bank.close();
      await edge.close();
      await store.close();
      await service.stop();
      await rm(directory, { recursive: true });
    },
  };
}
