import {
  createDeployment,
  createHttpClient,
  eventually,
  type HttpResponse,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

test("a key that one server revokes is refused by the other, which had it in its cache", async () => {
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
  });
  const [first, second] = await Promise.all([deployment.start(), deployment.start()]);
  const [here, there] = [createHttpClient(first.url), createHttpClient(second.url)];
  const token = await deployment.token({ sub: "usr_1", role: "admin" });

  async function create(): Promise<{ readonly id: string; readonly key: string }> {
    const body = { scopes: ["keys:manage"] };
    const made = await here.request({ method: "POST", path: "/v1/keys", token, body });
    expect(made.status, made.body).toBe(201);
    return made.json() as { id: string; key: string };
  }
  function use(client: typeof here, key: string): Promise<HttpResponse> {
    return client.request({ path: "/v1/keys", headers: { "x-api-key": key } });
  }

  const [revoked, kept] = [await create(), await create()];
  for (const client of [here, there]) {
    for (const { key } of [revoked, kept]) expect((await use(client, key)).status).toBe(200);
  }
  const path = `/v1/keys/${revoked.id}`;
  expect((await here.request({ method: "DELETE", path, token })).status).toBe(204);
  expect((await use(here, revoked.key)).status).toBe(401);
  await eventually("the other server to refuse it", async () => {
    return (await use(there, revoked.key)).status === 401;
  });
  for (const client of [here, there]) expect((await use(client, kept.key)).status).toBe(200);

  await Promise.all([here.close(), there.close()]);
  await Promise.all([first.stop(), second.stop()]);
});
