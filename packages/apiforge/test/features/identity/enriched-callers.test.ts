import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase, storeNames } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";
import { z } from "zod";

import {
  createForge,
  defineMigration,
  openDevIssuer,
  type Deployment,
  type System,
} from "../../../src/app/index.ts";
import { defineRoute } from "../../../src/edge/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";

const plan = z.object({ plan: z.string() });

/** A system whose plans stand in a table, and which says so when one has changed. */
function plans(): System {
  let deployment: Deployment | undefined;
  const read = defineRoute({
    method: "GET",
    path: "/plan",
    replies: { 200: plan },
    transaction: "none",
    handler: ({ principal }) => ({ status: 200, body: { plan: principal.plan ?? "none" } }),
  });
  const change = defineRoute({
    method: "POST",
    path: "/plan",
    body: plan,
    replies: { 200: z.object({ before: z.string() }) },
    handler: async ({ body, principal, tx }) => {
      const { tenant, context } = principal;
      await tx.sql`
        insert into plans (tenant, name) values (${tenant}, ${body.plan})
        on conflict (tenant) do update set name = excluded.name`;
      await deployment?.forgetCallers(tx, tenant);
      return { status: 200, body: { before: String(context?.["plan"]) } };
    },
  });
  return {
    routes: [read, change],
    migrations: [
      defineMigration("0001-plans", "create table plans (tenant text primary key, name text)"),
    ],
    open: (given) => (deployment = given),
  };
}

test.for(storeNames)(
  "what the deployment adds to callers is asked for once, and forgotten by the commit that changes it (%s)",
  async (store) => {
    const dataDir = await mkdtemp(join(tmpdir(), "plans-"));
    const database = store === "postgres" ? await createDatabase(postgresUrl()) : undefined;
    let asked = 0;
    const forge = await createForge(plans(), {
      log: silentLog,
      config: { port: 0, dataDir, databaseUrl: database?.url },
      authoriser: {
        enrich: async ({ tenant }, { sql }) => {
          asked++;
          const [row] = await sql<{ name: string }>`
            select name from plans where tenant = ${tenant}`;
          const name = row?.name ?? "free";
          return { plan: name, context: { plan: name } };
        },
      },
    });
    const { url } = await forge.listen();
    const issuer = await openDevIssuer(forge.config, silentLog);
    const sign = (tenant: string) => issuer.sign({ subject: "usr_1", tenant, role: "member" });
    const [token, stranger] = await Promise.all([sign("ten_1"), sign("ten_2")]);
    async function ask(as: string, changed?: string): Promise<unknown> {
      const headers = { authorization: `Bearer ${as}`, "content-type": "application/json" };
      const body = changed === undefined ? {} : { body: JSON.stringify({ plan: changed }) };
      const method = changed === undefined ? "GET" : "POST";
      const response = await fetch(`${url}/plan`, { method, headers, ...body });
      return response.json();
    }

    expect(await ask(token)).toEqual({ plan: "free" });
    expect(await ask(stranger)).toEqual({ plan: "free" });
    expect(await ask(token, "pro")).toEqual({ before: "free" });
    expect(asked).toBe(2);
    expect(await ask(token)).toEqual({ plan: "pro" });
    expect(await ask(token)).toEqual({ plan: "pro" });
    expect(await ask(stranger)).toEqual({ plan: "free" });
    expect(asked).toBe(3);
    await forge.stop();
    await database?.drop();
    await rm(dataDir, { recursive: true });
  },
);

test("a cache that would remember for more than an hour is refused at the start", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "plans-"));
  const started = createForge([], {
    log: silentLog,
    config: { port: 0, dataDir },
    authoriser: { cache: "61m" },
  });
  await expect(started).rejects.toThrow("0 to 3600 s");
  await rm(dataDir, { recursive: true });
});
