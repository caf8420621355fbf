import { storeNames, type HttpResponse } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { mobileStage, type TokenPair } from "./stage.ts";

describe.for(storeNames)("a session, %s", (store) => {
  const stage = mobileStage(store);

  const pairOf = (answer: HttpResponse): TokenPair => {
    expect(answer.status, answer.body).toBe(200);
    return answer.json() as TokenPair;
  };

  const home = async (token: string): Promise<number> => {
    return (await stage.client().request({ path: "/mobile/home", token })).status;
  };

  async function expectEnded(refreshToken: string): Promise<void> {
    const answer = await stage.refresh(refreshToken);
    expect([answer.status, answer.json()]).toEqual([
      400,
      { error: "invalid_grant", error_description: expect.any(String) },
    ]);
  }

  test("goes on by refresh tokens, each of which is used once", async () => {
    const first = await stage.logIn("+15551230201");
    const second = pairOf(await stage.refresh(first.refresh_token));
    const third = pairOf(await stage.refresh(second.refresh_token));
    expect(new Set([first, second, third].map((pair) => pair.refresh_token)).size).toBe(3);
    expect(await home(third.access_token)).toBe(200);
  });

  test("survives an answer that was lost, and an app that refreshes twice at once", async () => {
    const { refresh_token: token } = await stage.logIn("+15551230202");
    const answers = await Promise.all([stage.refresh(token), stage.refresh(token)]);
    const [one, other] = answers.map(pairOf);
    expect(one?.refresh_token).toBe(other?.refresh_token);
    pairOf(await stage.refresh(String(one?.refresh_token)));
  });

  test("ends for thief and owner when a used token comes back", async () => {
    const stolen = await stage.logIn("+15551230203");
    const second = pairOf(await stage.refresh(stolen.refresh_token));
    const third = pairOf(await stage.refresh(second.refresh_token));
    await expectEnded(stolen.refresh_token);
    await expectEnded(third.refresh_token);
    const events = await stage
      .deployment()
      .inspect((raw) => raw.all("select data from forge_events where type = 'session.ended'"));
    expect(events.map(({ data }) => String(data))).toContainEqual(
      expect.stringContaining("refresh_token_reuse"),
    );
  });

  test("ends with log-out, here or everywhere", async () => {
    const phone = "+15551230204";
    const tablet = await stage.logIn(phone);
    const logInId = await stage.begin(phone);
    const mobile = pairOf(await stage.prove(logInId, await stage.codeOf(phone, 2)));
    const logOut = (query: string) =>
      stage.client().request({
        method: "DELETE",
        path: `/mobile/session${query}`,
        token: mobile.access_token,
      });
    expect((await logOut("")).status).toBe(204);
    await expectEnded(mobile.refresh_token);
    const kept = pairOf(await stage.refresh(tablet.refresh_token));
    expect((await logOut("?everywhere=true")).status).toBe(204);
    await expectEnded(kept.refresh_token);
  });

  test("of one user ends no other's", async () => {
    const one = await stage.logIn("+15551230205");
    const other = await stage.logIn("+15551230206");
    const path = "/mobile/session?everywhere=true";
    await stage.client().request({ method: "DELETE", path, token: one.access_token });
    const goesOn = await stage.refresh(other.refresh_token);
    expect(goesOn.status).toBe(200);
  });
});
