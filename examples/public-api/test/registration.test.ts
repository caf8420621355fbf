import { eventually, storeNames } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { codeIn, publicApiStage } from "./stage.ts";

/** The state of a job that is not tried again, as both stores write it. */
const deadState = 4;

describe.for(storeNames)("registering for a key, %s", (store) => {
  const stage = publicApiStage(store);

  const refusal = {
    error: expect.objectContaining({ type: "invalid_request_error", code: "code_invalid" }),
  };

  test("a code comes by mail, and is a key once", async () => {
    expect((await stage.register("Ada@Example.com")).json()).toEqual({ status: "mail_sent" });
    const mail = await stage.mailTo("ada@example.com");
    expect(mail).toMatchObject({
      from: "keys@apiforge.dev",
      subject: expect.stringMatching(/key/),
    });
    const answers = await Promise.all(Array.from({ length: 4 }, () => stage.verify(codeIn(mail))));
    const [told, ...others] = answers.toSorted((a, b) => a.status - b.status);
    expect(others.map((answer) => [answer.status, answer.json()])).toEqual(
      others.map(() => [400, refusal]),
    );
    expect(told?.headers["cache-control"]).toBe("no-store");
    expect(told?.json()).toEqual({
      id: expect.stringMatching(/^key_/),
      key: expect.stringMatching(/^af_live_/),
      plan: "free",
    });
    const { key } = JSON.parse(String(told?.body)) as { key: string };
    expect((await stage.get("/public-api/stations", key)).status).toBe(200);
  });

  test("a code that was never sent is none", async () => {
    for (const code of ["x", "A".repeat(32)]) {
      expect((await stage.verify(code)).json()).toEqual(refusal);
    }
  });

  test("whoever registers again is the same developer, with another key", async () => {
    const first = await stage.keyFor("bob@example.com");
    expect((await stage.register("bob@example.com")).status).toBe(202);
    const code = codeIn(await stage.mailTo("bob@example.com", 2));
    const second = (await stage.verify(code)).json() as typeof first;
    const listed = (await stage.get("/v1/keys", second.key)).json() as { data: { id: string }[] };
    expect(listed.data.map(({ id }) => id)).toEqual([second.id, first.id]);
  });

  test("an address gets three mails an hour, however many ask at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => stage.register("eve@example.com")),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect([answers.length - refused.length, refused.length]).toEqual([3, 5]);
    for (const answer of refused) {
      expect(answer.json()).toMatchObject({ error: { code: "rate_limited" } });
      expect(answer.headers["retry-after"]).toMatch(/^3[56]\d\d$/);
    }
    await stage.mailTo("eve@example.com", 3);
  });

  test("the mail comes although the server refused it for now, and a mail nobody answered for is good", async () => {
    await stage.setFault({ kind: "451", times: 1 });
    expect((await stage.register("ivy@example.com")).status).toBe(202);
    const second = await stage.mailTo("ivy@example.com", 2);
    const first = await stage.mailTo("ivy@example.com", 1);
    expect([first.accepted, second.accepted]).toEqual([false, true]);
    expect(first.messageId).toBe(second.messageId);
    expect((await stage.verify(codeIn(first))).status).toBe(201);
    expect((await stage.verify(codeIn(second))).json()).toEqual(refusal);
  });

  test("a mail that is refused for good is not sent again", async () => {
    await stage.setFault({ kind: "550", times: 1 });
    await stage.register("gone@example.com");
    await stage.mailTo("gone@example.com");
    await eventually("the end of the job", async () => {
      const dead = await stage
        .deployment()
        .inspect((raw) => raw.all(`select attempt from forge_jobs where state = ${deadState}`));
      return dead.length === 1 && dead[0]?.["attempt"] === 1;
    });
    const refused = await stage.mailTo("gone@example.com");
    expect(refused.accepted).toBe(false);
  });

  test("no table and no job holds a code or a key", async () => {
    await stage.register("kim@example.com");
    const code = codeIn(await stage.mailTo("kim@example.com"));
    const { key } = (await stage.verify(code)).json() as { key: string };
    const tables = ["forge_jobs", "forge_events", "forge_audit", "forge_idempotency"];
    const own = ["registrations", "registration_codes", "developers", "forge_api_keys"];
    const stored = await stage.deployment().inspect(async (raw) => {
      const rows: unknown[] = [];
      for (const table of [...tables, ...own]) rows.push(await raw.all(`select * from ${table}`));
      return JSON.stringify(rows);
    });
    expect(stored).toContain("kim@example.com");
    expect(stored).not.toContain(code);
    expect(stored).not.toContain(key.slice(8));
  });
});
