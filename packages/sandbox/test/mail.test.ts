import { createTransport } from "nodemailer";
import { onTestFinished, expect, test } from "vitest";
import { sandboxForTest } from "./start.ts";

async function mailServer() {
  const { url } = await sandboxForTest();
  const control = (resource: string, init: RequestInit = {}) =>
    fetch(`${url}/_sandbox/mail/${resource}`, init);
  const { url: smtp } = (await (await control("address")).json()) as { url: string };
  const transport = createTransport(smtp);
  onTestFinished(() => transport.close());
  return {
    url,
    send: (subject: string, messageId = "<one@app.example>") =>
      transport.sendMail({
        from: "app@app.example",
        to: ["ada@example.com", "bob@example.com"],
        subject,
        text: "Lines — of text\nhttps://app.example/?a=b=c",
        messageId,
      }),
    fault: (body: object) => control("fault", { method: "PUT", body: JSON.stringify(body) }),
    async mails(): Promise<readonly Record<string, unknown>[]> {
      const answer = await control("messages");
      return ((await answer.json()) as { messages: Record<string, unknown>[] }).messages;
    },
  };
}

test("keeps a mail as people would read it", async () => {
  const { send, mails } = await mailServer();
  await send("Grüße");
  expect(await mails()).toMatchObject([
    {
      from: "app@app.example",
      to: ["ada@example.com", "bob@example.com"],
      subject: "Grüße",
      text: "Lines — of text\nhttps://app.example/?a=b=c\n",
      messageId: "<one@app.example>",
      accepted: true,
      repeated: false,
    },
  ]);
});

test("refuses for now, for good, or breaks off, when it is told to", async () => {
  const { send, fault, mails } = await mailServer();
  await fault({ kind: "451", times: 1 });
  await expect(send("one")).rejects.toMatchObject({ responseCode: 451 });
  await fault({ kind: "550", times: 1 });
  await expect(send("two")).rejects.toMatchObject({ responseCode: 550 });
  await fault({ kind: "dead", times: 1 });
  await expect(send("three")).rejects.toMatchObject({ code: "ECONNECTION" });
  await send("four");
  await send("five");
  const seen = (await mails()).map(({ accepted, repeated }) => [accepted, repeated]);
  expect(seen).toEqual([
    [false, false],
    [false, false],
    [false, false],
    [true, false],
    [true, true],
  ]);
});

test("shows mails on the page, escaped", async () => {
  const { url, send } = await mailServer();
  await send("<b>");
  const page = await (await fetch(url)).text();
  expect(page).toContain("to ada@example.com, bob@example.com");
  expect(page).toContain("&lt;b&gt;");
});
