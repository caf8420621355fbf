import { createHash } from "node:crypto";
import type { OpenStore } from "@apiforge/testing/contracts";
import { describe, expect, test } from "vitest";

import { defineConsumer, defineEvent, verifyAudit } from "../../../src/durable/index.ts";
import type { Row, Store } from "../../../src/store/index.ts";
import { z } from "zod";
import { storeFixtures } from "../../store/fixtures.ts";
import { actor, answer, Harness, refusal, write, type Node } from "../harness.ts";

/** The whole table, oldest first. */
async function rowsOf(store: Store, table: "forge_audit" | "forge_audit_seals"): Promise<Row[]> {
  const order = table === "forge_audit" ? "n" : "position";
  const { rows } = await store.read("rows", (runner) =>
    runner.queryText(`select * from ${table} order by ${order}`, []),
  );
  return [...rows];
}

async function note({ durable }: Node, action: string): Promise<void> {
  await durable.transact("note", actor, async (tx) => {
    tx.audit({ action });
  });
}

function verify({ store }: Pick<OpenStore, "store">) {
  return verifyAudit((work) => store.read("verify", work));
}

/** The chain by the words of docs/reference/audit.md, without our code. */
function chainOf(entries: readonly Row[]): string[] {
  let hash = "0".repeat(64);
  return entries.map((row, index) => {
    const { n, id, tenant, subject, action, detail, request_id, created_at } = row;
    const numbers = { n: Number(n), at: Number(created_at) };
    const content = [numbers.n, id, tenant, subject, action, detail, request_id, numbers.at];
    hash = createHash("sha256")
      .update(JSON.stringify(["apiforge-audit-1", hash, index + 1, ...content]))
      .digest("hex");
    return hash;
  });
}

describe.for(storeFixtures)("audit entries on $name", (fixture) => {
  test("carry who, what, for whom and when, and commit with what they tell", async () => {
    await using harness = await Harness.open(fixture);
    const { durable, clock } = harness.node();
    const caller = { ...write("key", async () => answer(201)), subject: "usr_1" };
    let id = "";
    await durable.execute({
      ...caller,
      async run(tx) {
        await tx.sql`insert into note (id, body) values ('n1', 'text')`;
        id = tx.audit({ action: "note.added", detail: { note: "n1" } });
        tx.audit({ action: "note.seen", subject: "usr_2" });
        return answer(201);
      },
    });
    const at = clock.now();
    const common = { tenant: actor.tenant, request_id: actor.requestId, created_at: at };
    expect(id).toMatch(/^aud_/);
    expect(await rowsOf(harness.store, "forge_audit")).toMatchObject([
      { ...common, id, action: "note.added", subject: "usr_1", detail: '{"note":"n1"}' },
      { ...common, action: "note.seen", subject: "usr_2", detail: "{}" },
    ]);
  });

  test("of a refusal that is returned stay, of one that is thrown and of a 5xx do not", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    for (const status of [403, 500]) {
      await durable.execute(
        write(`answer ${status}`, async (tx) => {
          tx.audit({ action: `answered.${status}` });
          return answer(status);
        }),
      );
    }
    await durable.execute(
      write("thrown", async (tx) => {
        tx.audit({ action: "thrown" });
        throw refusal(403);
      }),
    );
    const actions = (await rowsOf(harness.store, "forge_audit")).map((row) => row["action"]);
    expect(actions).toEqual(["answered.403"]);
  });

  test("of consumers have the tenant of the event and nobody as subject", async () => {
    await using harness = await Harness.open(fixture);
    const added = defineEvent("note.added", z.object({}));
    const consumer = defineConsumer("auditor", {
      events: ["note.added"],
      handle: async ({ tx }) => void tx.audit({ action: "note.noticed" }),
    });
    const { durable } = await harness.started({ consumers: [consumer] });
    await durable.transact("emit", { tenant: "ten_7", requestId: "req_7", subject: "u" }, (tx) =>
      Promise.resolve(tx.emit(added, {})),
    );
    await harness.idle();
    const [entry] = await rowsOf(harness.store, "forge_audit");
    expect(entry).toMatchObject({ tenant: "ten_7", request_id: "req_7", subject: null });
  });

  test.for(["", "Note", "note added", "1st", "x".repeat(129)])(
    "with the action %j are refused",
    async (action) => {
      await using harness = await Harness.open(fixture);
      await expect(note(harness.node(), action)).rejects.toThrow(RangeError);
    },
  );

  test("of more than 256 KB are refused", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const writing = durable.transact("large", actor, async (tx) =>
      tx.audit({ action: "large", detail: { text: "x".repeat(256 * 1024) } }),
    );
    await expect(writing).rejects.toMatchObject({ code: "payload_too_large" });
  });
});

describe.for(storeFixtures)("the chain on $name", (fixture) => {
  test("is intact before there is anything in it", async () => {
    await using harness = await Harness.open(fixture);
    expect(await verify(harness)).toEqual({
      intact: true,
      sealed: 0,
      unsealed: 0,
      anchor: undefined,
    });
  });

  test("takes in what was committed, within a second, as it is documented", async () => {
    await using harness = await Harness.open(fixture);
    const node = await harness.started();
    for (let n = 0; n < 5; n += 1) await note(node, `a${n}`);
    expect(await verify(harness)).toMatchObject({ intact: true, sealed: 0, unsealed: 5 });
    await harness.advance(1_000);
    const hashes = chainOf(await rowsOf(harness.store, "forge_audit"));
    const seals = await rowsOf(harness.store, "forge_audit_seals");
    expect(seals.map(({ hash }) => Buffer.from(hash as Uint8Array).toString("hex"))).toEqual(
      hashes,
    );
    const anchor = { position: 5, hash: hashes.at(-1) };
    expect(await verify(harness)).toEqual({ intact: true, sealed: 5, unsealed: 0, anchor });
  });

  test("takes in more than one commit seals", async () => {
    await using harness = await Harness.open(fixture);
    const node = await harness.started();
    await node.durable.transact("many", actor, async (tx) => {
      for (let n = 0; n < 1_201; n += 1) tx.audit({ action: "many" });
    });
    await harness.advance(1_000);
    expect(await verify(harness)).toMatchObject({ intact: true, sealed: 1_201, unsealed: 0 });
  });

  test("is whole once a process has stopped, and its end is in the log", async () => {
    await using harness = await Harness.open(fixture);
    const node = await harness.started();
    await note(node, "first");
    await node.durable.stop(0);
    const report = await verify(harness);
    if (!report.intact || report.anchor === undefined) throw new Error("The chain is not whole");
    const { position, hash } = report.anchor;
    expect(position).toBe(1);
    const anchors = node.log.entries.filter(({ message }) => message === "audit log sealed");
    expect(anchors.at(-1)?.fields).toEqual({ anchor: `1:${hash}` });
  });

  test("tells its end to the log once a minute while it grows, and not while it does not", async () => {
    await using harness = await Harness.open(fixture);
    const node = await harness.started();
    for (let second = 0; second < 65; second += 1) {
      await note(node, "again");
      await harness.advance(1_000);
    }
    await harness.advance(120_000);
    const anchors = node.log.entries.filter(({ message }) => message === "audit log sealed");
    expect(anchors).toHaveLength(3);
  });

  test("goes on in whichever process seals", async () => {
    await using harness = await Harness.open(fixture);
    const nodes = [await harness.started(), await harness.started()];
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(nodes.map((node) => note(node, "together")));
      await harness.advance(1_000);
    }
    expect(await verify(harness)).toMatchObject({ intact: true, sealed: 20, unsealed: 0 });
    const lines = nodes.flatMap(({ log }) => log.entries.map(({ message }) => message));
    expect(lines).not.toContain("the audit log could not be sealed");
  });
});
