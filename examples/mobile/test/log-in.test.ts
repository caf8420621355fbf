import { storeNames } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { mobileStage } from "./stage.ts";

describe.for(storeNames)("logging in, %s", (store) => {
  const stage = mobileStage(store);

  const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

  const refusal = {
    error: expect.objectContaining({ type: "invalid_request_error", code: "code_invalid" }),
  };

  test("a code comes by text message, and is a session once", async () => {
    const phone = "+15551230101";
    const logInId = await stage.begin(phone);
    const code = await stage.codeOf(phone);
    const answers = await Promise.all(Array.from({ length: 4 }, () => stage.prove(logInId, code)));
    const [proven, ...others] = answers.toSorted((a, b) => a.status - b.status);
    expect(others.map(({ status }) => status)).toEqual([400, 400, 400]);
    expect(proven?.status).toBe(200);
    expect(proven?.headers["cache-control"]).toBe("no-store");
    expect(proven?.json()).toEqual({
      access_token: expect.stringMatching(/^ey/),
      token_type: "Bearer",
      expires_in: 600,
      refresh_token: expect.stringMatching(/^af_rt_/),
    });
  });

  test("whoever logs in again is the same user", async () => {
    const phone = "+15551230102";
    const { access_token: first } = await stage.logIn(phone);
    const body = { name: "Priya" };
    await stage.client().request({ method: "PUT", path: "/mobile/profile", token: first, body });
    const logInId = await stage.begin(phone);
    const code = await stage.codeOf(phone, 2);
    const again = (await stage.prove(logInId, code)).json() as { access_token: string };
    const home = await stage
      .client()
      .request({ path: "/mobile/home?fields=profile", token: again.access_token });
    expect(home.json()).toEqual({ profile: { name: "Priya" } });
  });

  test("after five wrong codes the right one does no more, however fast they come", async () => {
    const phone = "+15551230103";
    const logInId = await stage.begin(phone);
    const code = await stage.codeOf(phone);
    const guesses = await Promise.all(
      Array.from({ length: 5 }, () => stage.prove(logInId, wrong(code))),
    );
    expect(guesses.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
    const late = await stage.prove(logInId, code);
    expect([late.status, late.json()]).toEqual([400, refusal]);
  });

  test("four wrong codes leave the fifth try", async () => {
    const phone = "+15551230104";
    const logInId = await stage.begin(phone);
    const code = await stage.codeOf(phone);
    for (let tries = 0; tries < 4; tries++) {
      expect((await stage.prove(logInId, wrong(code))).status).toBe(400);
    }
    expect((await stage.prove(logInId, code)).status).toBe(200);
  });

  test("a code is good for its own log-in only", async () => {
    const own = await stage.begin("+15551230105");
    const code = await stage.codeOf("+15551230105");
    const other = await stage.begin("+15551230106");
    const otherCode = await stage.codeOf("+15551230106");
    // One in a million is both.
    expect((await stage.prove(other, code === otherCode ? wrong(code) : code)).status).toBe(400);
    expect((await stage.prove("login_none", code)).json()).toEqual(refusal);
    expect((await stage.prove(own, code)).status).toBe(200);
  });

  test("a phone is sent three codes an hour, however many ask at once", async () => {
    const request = {
      method: "POST",
      path: "/mobile/log-ins",
      body: { phone: "+15551230107" },
    };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => stage.client().request(request)),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect([answers.length - refused.length, refused.length]).toEqual([3, 5]);
    for (const answer of refused) {
      expect(answer.json()).toMatchObject({ error: { code: "rate_limited" } });
      expect(answer.headers["retry-after"]).toMatch(/^3[56]\d\d$/);
    }
    await stage.codeOf("+15551230107", 3);
  });

  test("the code comes although the gateway failed, and so does one whose answer was lost", async () => {
    const phone = "+15551230108";
    await stage.setFault({ kind: "dead", times: 1 });
    const logInId = await stage.begin(phone);
    await stage.codeOf(phone, 2);
    expect((await stage.prove(logInId, await stage.codeOf(phone, 1))).status).toBe(200);
  });

  test("no table and no job holds a code", async () => {
    const phone = "+15551230109";
    const logInId = await stage.begin(phone);
    const code = await stage.codeOf(phone);
    const stored = await stage
      .deployment()
      .inspect(async (raw) => [
        ...(await raw.all(`select digest from mobile_log_in_codes where log_in_id = '${logInId}'`)),
        ...(await raw.all("select payload from forge_jobs where type = 'mobile-code-message'")),
      ]);
    const texts = stored.map((row) => String(row["digest"] ?? row["payload"]));
    expect(texts).toContain(JSON.stringify({ logInId }));
    expect(texts.filter((text) => text === code || text.includes(`"${code}"`))).toEqual([]);
  });
});
