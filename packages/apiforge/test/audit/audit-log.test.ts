import { DatabaseSync } from "node:sqlite";
import {
  createHttpClient,
  eventually,
  storeNames,
  type Deployment,
  type HttpClient,
  type ReadyServer,
} from "@apiforge/testing";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { addNote, auditCommand, deployAudited } from "./audit-deployment.ts";

interface Entry {
  readonly id: string;
  readonly action: string;
  readonly subject: string | null;
  readonly detail: { readonly note: string };
  readonly requestId: string;
  readonly createdAt: string;
  readonly seal: { readonly position: number; readonly hash: string } | null;
}

interface Page {
  readonly data: readonly Entry[];
  readonly hasMore: boolean;
  readonly nextCursor: string | null;
}

const admin = { sub: "usr_admin", tenant: "ten_1" };
const notes = ["n1", "n2", "n3", "n4", "n5"];

describe.for(storeNames)("the audit log, served, %s", (store) => {
  let deployment: Deployment;
  let server: ReadyServer;
  let client: HttpClient;

  beforeAll(async () => {
    deployment = await deployAudited(store);
    server = await deployment.start();
    client = createHttpClient(server.url);
    for (const id of notes) {
      const sub = id === "n2" ? "usr_other" : "usr_admin";
      await addNote(client, await deployment.token({ ...admin, sub }), id);
    }
    await addNote(client, await deployment.token({ sub: "usr_b", tenant: "ten_2" }), "theirs");
  });
  afterAll(async () => {
    await client.close();
    await server.stop();
    await deployment[Symbol.asyncDispose]();
  });

  async function list(query: string, who: typeof admin = admin): Promise<Page> {
    const token = await deployment.token(who);
    const answer = await client.request({ path: `/v1/audit${query}`, token });
    expect(answer.status, answer.body).toBe(200);
    return answer.json() as Page;
  }

  const notesOf = ({ data }: Page): string[] => data.map(({ detail }) => detail.note);

  test("shows a tenant its entries, newest first, and no other's", async () => {
    const page = await list("");
    expect(notesOf(page)).toEqual(notes.toReversed());
    expect(page.data[0]).toMatchObject({
      id: expect.stringMatching(/^aud_/),
      action: "note.added",
      subject: "usr_admin",
      requestId: expect.stringMatching(/^req_/),
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
    const theirs = await list("", { sub: "usr_b", tenant: "ten_2" });
    expect(notesOf(theirs)).toEqual(["theirs"]);
  });

  test("shows the seal soon", async () => {
    await eventually("all are sealed", async () => {
      return (await list("")).data.every(({ seal }) => seal !== null);
    });
    const [newest] = (await list("")).data;
    expect(newest?.seal?.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  test("goes in pages, each entry once", async () => {
    const seen: string[] = [];
    let query = "?limit=2";
    for (;;) {
      const page = await list(query);
      seen.push(...notesOf(page));
      if (page.nextCursor === null) break;
      query = `?limit=2&cursor=${page.nextCursor}`;
    }
    expect(seen).toEqual(notes.toReversed());
  });

  test("finds by action and subject", async () => {
    expect(notesOf(await list("?subject=usr_other"))).toEqual(["n2"]);
    expect(notesOf(await list("?action=note.added&subject=usr_other"))).toEqual(["n2"]);
    expect(notesOf(await list("?action=note.removed"))).toEqual([]);
  });

  test("is for admins", async () => {
    const token = await deployment.token({ ...admin, role: "member" });
    expect(await client.request({ path: "/v1/audit", token })).toMatchObject({ status: 403 });
    expect(await client.request({ path: "/v1/audit" })).toMatchObject({ status: 401 });
  });

  test("takes no cursor of another tenant", async () => {
    const { nextCursor } = await list("?limit=1");
    const token = await deployment.token({ sub: "usr_b", tenant: "ten_2" });
    const answer = await client.request({ path: `/v1/audit?cursor=${nextCursor}`, token });
    expect(answer).toMatchObject({ status: 400 });
    expect(answer.body).toContain("invalid_cursor");
  });
});

describe.for(storeNames)("apiforge audit verify, %s", (store) => {
  test("names the broken entry, beside a server that runs and without one", async () => {
    await using deployment = await deployAudited(store);
    const server = await deployment.start();
    await using client = createHttpClient(server.url);
    const token = await deployment.token(admin);
    for (const id of notes) await addNote(client, token, id);
    await eventually("all are sealed", async () => {
      return (await auditCommand(deployment, "verify")).stdout.includes("5 entries sealed");
    });
    const whole = await auditCommand(deployment, "verify");
    expect(whole).toMatchObject({ code: 0, stderr: "" });
    const [, anchor = ""] = /^anchor (5:[0-9a-f]{64})$/m.exec(whole.stdout) ?? [];
    expect(anchor).not.toBe("");
    await client.close();
    await server.stop();

    expect(await auditCommand(deployment, "verify", "--anchor", anchor)).toEqual(whole);
    const altered = `5:${"0".repeat(64)}`;
    expect(await auditCommand(deployment, "verify", "--anchor", altered)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("the chain was written anew: position 5"),
    });

    await alterRow3(deployment);
    expect(await auditCommand(deployment, "verify")).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/BROKEN: entry aud_\w+ \(row 3\) at position 3 is not what/),
    });
  });
});

test("verifying what is not there, or against no anchor, is no verification", async () => {
  await using deployment = await deployAudited("sqlite");
  expect(await auditCommand(deployment, "verify")).toEqual({
    code: 2,
    stdout: "",
    stderr: "There is no database in the data directory.\n",
  });
  const wrong = [["verify", "--anchor", "5"], ["verify", "--key"], ["forge"], []];
  for (const args of wrong) {
    const ended = await auditCommand(deployment, ...args);
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining("Usage:") });
  }
});

/** As somebody does who may do anything to the database. No server runs. */
async function alterRow3({ store, database }: Deployment): Promise<void> {
  const alter = "update forge_audit set subject = 'nobody' where n = 3";
  if (store === "sqlite") {
    using file = new DatabaseSync(database);
    file.exec("drop trigger forge_audit_changed");
    file.exec(alter);
    return;
  }
  const client = new Client({ connectionString: database });
  await client.connect();
  await client.query("set session_replication_role = replica");
  await client.query(alter);
  await client.end();
}
