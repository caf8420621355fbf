import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createHttpClient, recordingLog } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import {
  createGateway,
  openDevIssuer,
  type Gateway,
  type GatewayConfig,
} from "../../../src/app/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import { startRawUpstream } from "../../gateway/gateway-harness.ts";

/** A gateway of `config`, whose upstream `files` answers everything. */
async function serve(config: Omit<GatewayConfig, "upstreams">) {
  const raw = await startRawUpstream((socket, request) => {
    const line = request.split("\r\n")[0] ?? "";
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${line.length}\r\n\r\n${line}`);
  });
  const dataDir = await mkdtemp(join(tmpdir(), "gateway-change-"));
  const upstreams = { files: { endpoints: [raw.url] } };
  const recorded = recordingLog();
  const gateway: Gateway = await createGateway(
    { upstreams, ...config },
    { config: { port: 0, dataDir }, log: recorded },
  );
  const client = createHttpClient((await gateway.listen()).url);
  onTestFinished(async () => {
    await client.close();
    await gateway.stop();
    await raw.close();
    await rm(dataDir, { recursive: true });
  });
  const status = async (path: string): Promise<number> => (await client.request({ path })).status;
  const issuer = await openDevIssuer(gateway.config, silentLog);
  const token = (role: string) => issuer.sign({ subject: "usr_1", tenant: "ten_1", role });
  return { gateway, client, status, raw, upstreams, token, entries: recorded.entries };
}

const open = { auth: "none" } as const;

describe("a gateway whose configuration changes", () => {
  test("serves the new one, counts its revisions, and goes back", async () => {
    const routes = (path: string) => [{ path, upstream: "files", ...open }];
    const { gateway, status, upstreams } = await serve({ routes: routes("/a") });
    const first = gateway.revision;
    expect(first.number).toBe(1);
    expect(await gateway.change({ upstreams, routes: routes("/b") })).toMatchObject({
      outcome: "active",
      revision: { number: 2 },
    });
    expect([await status("/a"), await status("/b")]).toEqual([404, 200]);
    expect(await gateway.rollback()).toMatchObject({
      outcome: "active",
      revision: { number: 3, digest: first.digest },
    });
    expect([await status("/a"), await status("/b")]).toEqual([200, 404]);
    await gateway.rollback();
    expect([await status("/a"), await status("/b")]).toEqual([404, 200]);
  });

  test("says that nothing has changed when it has not", async () => {
    const { gateway, upstreams } = await serve({ defaults: open });
    expect(await gateway.change({ upstreams, defaults: { ...open } })).toEqual({
      outcome: "unchanged",
      revision: gateway.revision,
    });
    expect(gateway.revision.number).toBe(1);
  });

  test("refuses one that cannot work with everything that is wrong, and goes on", async () => {
    const { gateway, status, entries } = await serve({ defaults: open });
    const change = await gateway.change({ upstreams: {}, routs: [] });
    expect(change).toMatchObject({
      outcome: "refused",
      problems: [{ path: "routs" }, { path: "upstreams" }],
    });
    expect(await status("/a")).toBe(200);
    expect(entries.map(({ message }) => message)).toContain(
      "the changed configuration is refused; the one before goes on",
    );
  });

  test("has nothing to go back to at first", async () => {
    const { gateway } = await serve({ defaults: open });
    expect(await gateway.rollback()).toMatchObject({ outcome: "refused" });
  });

  test("an upstream that is as before keeps its connections, another one begins anew", async () => {
    const { gateway, status, upstreams, raw } = await serve({ defaults: open });
    await status("/a");
    await gateway.change({ upstreams, defaults: open, api: { title: "T", version: "1.0.0" } });
    await status("/a");
    expect(raw.received).toHaveLength(1);
    const changed = { files: { ...upstreams.files, connections: 3 } };
    await gateway.change({ upstreams: changed, defaults: open });
    await status("/a");
    expect(raw.received).toHaveLength(2);
  });

  test("a breaker that is open stays so", async () => {
    const files = { endpoints: ["http://127.0.0.1:9"], breaker: { failures: 1 } };
    const dead = { files: { ...files, retry: { attempts: 1 } } };
    const { gateway, client } = await serve({ defaults: open });
    await gateway.change({ upstreams: dead, defaults: open });
    expect((await client.request({ method: "POST", path: "/a" })).status).toBe(502);
    await gateway.change({ upstreams: dead, defaults: { ...open, tags: ["t"] } });
    const answer = await client.request({ method: "POST", path: "/a" });
    expect(answer.status).toBe(503);
    expect(answer.headers["proxy-status"]).toContain("destination_unavailable");
  });

  test("callers of other origins are allowed, and no longer", async () => {
    const { gateway, client, upstreams } = await serve({ defaults: open, cors: { origins: "*" } });
    const allowed = async () => {
      const answer = await client.request({ path: "/a", headers: { origin: "https://a.example" } });
      return answer.headers["access-control-allow-origin"];
    };
    expect(await allowed()).toBe("*");
    await gateway.change({ upstreams, defaults: open });
    expect(await allowed()).toBeUndefined();
  });

  test("shows its revision to administrators and in metrics, with what was refused", async () => {
    const { gateway, client, token } = await serve({ defaults: open, shown: true });
    const path = "/v1/revision";
    expect((await client.request({ path })).status).toBe(401);
    expect((await client.request({ path, token: await token("member") })).status).toBe(403);
    await gateway.change({ upstreams: {} });
    const answer = await client.request({ path, token: await token("admin") });
    expect(answer.json()).toMatchObject({
      revision: { number: 1, digest: gateway.revision.digest },
      refused: { problems: [{ path: "upstreams" }] },
      upstreams: [{ name: "files", endpoints: [{ state: "closed", isWell: true, pending: 0 }] }],
    });
    const metrics = (await client.request({ path: "/metrics" })).body;
    expect(metrics).toContain(`apiforge_config_revision_info{revision="${gateway.revision.id}"} 1`);
    expect(metrics).toContain('apiforge_config_changes_total{outcome="refused"} 1');
  });
});
