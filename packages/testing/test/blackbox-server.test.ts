import { fileURLToPath } from "node:url";
import { createDeployment, storeNames, type Deployment, type ReadyServer } from "@apiforge/testing";
import { gatewayChecks, runChecks, type GatewayInput } from "@apiforge/testing/blackbox";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { describedGateway } from "./fixtures/described-gateway.ts";
import { allowedOrigins } from "./fixtures/wrong-gateway.ts";

const entry = fileURLToPath(new URL("fixtures/blackbox-server.ts", import.meta.url));

describe.for(storeNames)("our server, %s", (store) => {
  let deployment: Deployment;
  let server: ReadyServer;

  beforeAll(async () => {
    deployment = await createDeployment({ store, postgresUrl: postgresUrl(), entry });
    server = await deployment.start();
  });
  afterAll(async () => {
    await server.stop();
    await deployment[Symbol.asyncDispose]();
  });

  test("keeps idempotency keys and limits, and tells of CORS and deprecation, as any gateway should", async () => {
    const checks = gatewayChecks(await describeOurs());
    const outcomes = await runChecks(checks);
    expect(outcomes.filter(({ failure }) => failure !== undefined)).toEqual([]);
    expect(outcomes.length).toBeGreaterThan(35);
  });

  async function describeOurs(): Promise<GatewayInput> {
    const bearer = async (sub: string, tenant: string): Promise<string> =>
      `Bearer ${await deployment.token({ sub, tenant })}`;
    const described = describedGateway(server.url, {
      one: await bearer("usr_one", "ten_one"),
      others: [await bearer("usr_other", "ten_one"), await bearer("usr_one", "ten_other")],
      limited: await Promise.all(
        Array.from({ length: 7 }, (_, index) => bearer(`usr_limited${index}`, "ten_one")),
      ),
    });
    const used = { authorization: await bearer("usr_cors", "ten_one") };
    const answers = [
      ...(described.cors?.answers ?? []),
      { name: "a failure", request: { path: "/broken" }, status: 500 },
      { name: "what is not there", request: { path: "/old/nothing" }, status: 404 },
      { name: "what is over", request: { path: "/ended" }, status: 410 },
      {
        name: "a bad body",
        request: { method: "POST", path: "/things", headers: used, body: { no: 1 } },
        status: 400,
      },
      {
        name: "a limit",
        request: { path: "/limited", headers: used },
        status: 429,
        attempts: 30,
      },
    ];
    const preflights = [
      ...(described.cors?.preflights ?? []),
      { path: "/limited", method: "GET", headers: ["Authorization"] },
    ];
    return {
      ...described,
      cors: { origins: allowedOrigins, maxAgeSeconds: 600, answers, preflights },
    };
  }
});
