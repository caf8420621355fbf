import { fileURLToPath } from "node:url";

import { storeNames } from "@apiforge/testing";
import { assertRefusals, routeName, servedRoutes } from "@apiforge/testing/route-table";
import { serveDuringTests } from "@apiforge/testing/served";
import { upstream } from "apiforge";
import { describe, expect, test } from "vitest";

import { shop } from "../src/index.ts";

const entry = fileURLToPath(new URL("servers/gateway.ts", import.meta.url));
// The declarations only.
const nowhere = upstream({ name: "nowhere", endpoints: ["http://127.0.0.1:9"] });
const routes = shop({ stock: nowhere, prices: nowhere }).routes ?? [];

// Nothing that belongs to a tenant stands behind these routes, so there is nothing of another's to reach for.
describe.for(storeNames)("every route of the shop, %s", (store) => {
  const { deployment, client } = serveDuringTests(store, { entry });
  const run = { client, deployment, bodies: {} };

  test("the table is what the server serves", async () => {
    const described = (await servedRoutes(client())).map((name) => name.replace(":rest", "*"));
    expect(described).toEqual(routes.map(routeName).toSorted());
  });

  test.for(routes)("$method $path refuses whom its declaration refuses", async (route) => {
    await assertRefusals(run, route);
  });

  test("a call of gRPC is refused as one", async () => {
    const answer = await client().request({
      method: "POST",
      path: "/shop.v1.Stock/Reserve",
      headers: { "content-type": "application/grpc-web+proto" },
      rawBody: "",
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toContain("grpc-status: 16\r\n");
    expect(answer.body).toContain("apiforge-error: missing_token\r\n");
  });
});
