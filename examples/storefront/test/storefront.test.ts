import { storeNames } from "@apiforge/testing";
import { serveDuringTests } from "@apiforge/testing/served";
import { describe, expect, test } from "vitest";

const shop = "https://shop.example.com";
const origins = [shop, "https://admin.example.com", "https://promo.example.com"];

describe.for(storeNames)("products, %s", (store) => {
  const { client } = serveDuringTests(store);

  test.for(origins)(
    "a page of %s may read them after a preflight that it keeps for a day",
    async (origin) => {
      const preflight = await client().request({
        method: "OPTIONS",
        path: "/products",
        headers: {
          origin,
          "access-control-request-method": "GET",
          "access-control-request-headers": "authorization",
        },
      });
      expect(preflight).toMatchObject({
        status: 204,
        headers: {
          "access-control-allow-origin": origin,
          "access-control-allow-methods": "GET",
          "access-control-allow-headers": expect.stringContaining("Authorization"),
          "access-control-max-age": "86400",
        },
      });
      const products = await client().request({ path: "/products", headers: { origin } });
      expect(products).toMatchObject({
        status: 200,
        headers: { "access-control-allow-origin": origin, vary: "Origin" },
      });
      expect(products.json()).toMatchObject({
        data: [
          { id: "prod_lamp", name: "Desk lamp", category: "office", priceCents: 4900 },
          {},
          {},
          {},
        ],
        hasMore: false,
      });
      expect(products.body).not.toMatch(/cost/i);
    },
  );

  test("a page of another origin is told nothing", async () => {
    for (const path of ["/products", "/products/nothing"]) {
      const headers = { origin: "https://shop.example.com.evil.example" };
      const answer = await client().request({ path, headers });
      expect(answer.headers).toMatchObject({ vary: "Origin" });
      expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
    }
  });

  test.for([
    ["/products/nothing", 404, "not_found"],
    ["/products?limit=0", 400, "validation_failed"],
  ] as const)("a page may read why %s is %i", async ([path, status, code]) => {
    const answer = await client().request({ path, headers: { origin: shop } });
    expect(answer).toMatchObject({ status, headers: { "access-control-allow-origin": shop } });
    expect(answer.json()).toMatchObject({ error: { code } });
  });

  test("who has them already is not sent them again", async () => {
    const first = await client().request({ path: "/products?category=office" });
    expect(first.headers["cache-control"]).toBe("public, max-age=60");
    const headers = { "if-none-match": first.headers["etag"] ?? "" };
    const again = await client().request({ path: "/products?category=office", headers });
    expect(again).toMatchObject({ status: 304, body: "" });
  });
});
