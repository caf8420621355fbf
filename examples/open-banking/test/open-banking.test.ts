import { storeNames } from "@apiforge/testing";
import { assertForeignRefused, assertOwned, assertRefusals } from "@apiforge/testing/route-table";
import { describe, expect, test } from "vitest";

import { accountsUpstream } from "../src/routes.ts";
import { openBanking } from "../src/index.ts";
import { openBankingStage } from "./stage.ts";

const path = "/open-banking/accounts";
const record = () => Promise.resolve();
const [route] =
  openBanking({ accounts: accountsUpstream("http://127.0.0.1:9"), record }).routes ?? [];

describe.for(storeNames)("a bank's accounts, %s", (store) => {
  const stage = openBankingStage(store);

  test("are shown without what is the bank's own", async () => {
    const answer = await stage.accounts("cust_1002", { "x-correlation-id": "call-7" });
    expect([answer.status, answer.json()]).toEqual([
      200,
      {
        accounts: [
          {
            accountId: "acc_90001",
            currency: "GBP",
            accountType: "Business",
            nickname: "Bakery",
            iban: "GB33BUKB20201555555555",
            balance: "8800.10",
          },
        ],
      },
    ]);
    expect(answer.headers).toMatchObject({
      "x-correlation-id": "call-7",
      "cache-control": "no-store",
      "ratelimit-policy": '"provider";q=500;w=60',
    });
    expect(answer.headers).not.toHaveProperty("server");
  });

  test("are asked for in the customer's name, and the token stays here", async () => {
    await stage.bank().request({ method: "PUT", path: "/_faults", body: { count: 0 } });
    const answer = await stage.accounts("cust_1001");
    const seen = (await stage.bank().request({ path: "/_seen" })).json() as Record<
      string,
      string
    >[];
    const fields = Object.fromEntries(
      Object.entries(seen[0] ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
    );
    expect(fields).toMatchObject({
      "x-customer-id": "cust_1001",
      "x-correlation-id": answer.headers["x-request-id"],
    });
    expect(answer.headers["x-correlation-id"]).toBe(answer.headers["x-request-id"]);
    expect(fields).not.toHaveProperty("authorization");
  });

  test("leave an audit entry each, and every call a line in the log, a refused one too", async () => {
    const correlations = ["audit-1", "audit-2"];
    for (const id of correlations) await stage.accounts("cust_1001", { "x-correlation-id": id });
    const refused = await stage
      .provider()
      .request({ path, headers: { "x-correlation-id": "audit-3" } });
    expect([refused.status, refused.headers["x-correlation-id"]]).toEqual([401, "audit-3"]);
    const rows = await stage
      .deployment()
      .inspect((raw) => raw.all("select tenant, action, detail from forge_audit order by n"));
    const audited = rows
      .map(({ tenant, action, detail }) => ({ tenant, action, detail: String(detail) }))
      .filter(({ detail }) => detail.includes("audit-"));
    expect(audited).toMatchObject(
      correlations.map(() => ({ tenant: "cust_1001", action: "accounts.read" })),
    );
    expect(audited.map(({ detail }) => /audit-\d/.exec(detail)?.[0])).toEqual(correlations);
    expect(audited[0]?.detail).toMatch(/"certificate": ?"[\w-]{43}"/);
    for (const id of [...correlations, "audit-3"]) {
      const line = new RegExp(`"status":\\d+[^\\n]*"correlationId":"${id}"`);
      await expect.poll(() => stage.log()).toMatch(line);
    }
  });

  test("are not there without a certificate, whatever the token", async () => {
    const answer = await stage.stranger().request({ path });
    expect([answer.status, answer.json()]).toMatchObject([
      401,
      { error: { code: "missing_certificate" } },
    ]);
  });

  test("are refused to a provider without a token, with a bad one, and with too small a scope", async () => {
    if (route === undefined) throw new Error("There is no route");
    const run = { client: stage.provider, deployment: stage.deployment, bodies: {} };
    // The caller here has a certificate, so what its token lacks is what is told.
    await assertRefusals(run, { ...route, certificate: undefined });
  });

  test("are the customer's own", async () => {
    if (route === undefined) throw new Error("There is no route");
    const run = { client: stage.provider, deployment: stage.deployment, bodies: {} };
    const rows = {
      tenant: "cust_1001",
      subject: "usr_1",
      ids: {},
      marks: ["acc_22289", "acc_31820"],
    };
    const before = await assertOwned(run, route, rows);
    await assertForeignRefused(run, route, rows, "cust_1002");
    expect(await assertOwned(run, route, rows)).toBe(before);
  });
});
