import { expect, test } from "vitest";
import { sandboxForTest } from "./start.ts";

async function pageOf(url: string): Promise<string> {
  const answer = await fetch(url);
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  return answer.text();
}

test("the page says that nothing has arrived, and how to change that", async () => {
  const { url } = await sandboxForTest();
  const page = await pageOf(url);
  expect(page).toContain("No message has arrived yet.");
  expect(page).toContain(`${url}/services/T0/B0/sandbox`);
});

test("the page shows blocks as a person sees them, newest first", async () => {
  const { url, post } = await sandboxForTest();
  await post({
    text: "New project created by priya@apiforge.dev",
    blocks: [
      {
        type: "section",
        text: { type: "mrkdwn", text: "*Gateway* was just created" },
        fields: [{ type: "mrkdwn", text: "*Status:*\nactive" }],
      },
    ],
  });
  await post({ text: "second" });
  const page = await pageOf(url);
  expect(page).toContain("<b>Gateway</b> was just created");
  expect(page).toContain('<div class="text"><b>Status:</b>\nactive</div>');
  expect(page).toContain("Notification: New project created by priya@apiforge.dev");
  expect(page.indexOf("second")).toBeLessThan(page.indexOf("Gateway"));
});

test.each([
  ["*bold* and _italic_ and ~gone~", "<b>bold</b> and <i>italic</i> and <s>gone</s>"],
  ["2*3*4 snake_case_name", "2*3*4 snake_case_name"],
  ["`a*b*c` ```x\n<y>```", "<code>a*b*c</code> <pre>x\n&lt;y&gt;</pre>"],
  ["<https://a.example/?b=1&amp;c=2|here>", 'href="https://a.example/?b=1&amp;c=2"'],
  ["<https://a.example/a_b_c>", ">https://a.example/a_b_c</a>"],
  ["<@U1|priya> <!here> <#C1|ops>", '<span class="mention">#ops</span>'],
  ["1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 &lt; 2 &amp;&amp; 3 &gt; 2"],
  ["<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"],
  ["<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"],
  ['"><img src=x onerror=alert(1)>', "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"],
])("the page shows the text %j as %s", async (text, expected) => {
  const { url, post } = await sandboxForTest();
  await post({ text });
  expect(await pageOf(url)).toContain(expected);
});

test("the page escapes every other part of a message", async () => {
  const { url, post } = await sandboxForTest();
  const evil = "<img src=x>";
  await post({
    username: evil,
    text: evil,
    blocks: [
      { type: evil },
      { type: "header", text: { type: "plain_text", text: evil } },
      { type: "image", image_url: "https://a.example/x.png", alt_text: evil },
      { type: "actions", elements: [{ type: "button", style: evil, text: { text: evil } }] },
      { type: "context", elements: [{ type: "mrkdwn", text: evil }, { type: evil }, null, 7] },
      { type: "rich_text", elements: [{ elements: [{ type: "text", text: evil }] }, "x"] },
      { type: "section", text: 7, fields: "x", accessory: { type: "image", alt_text: evil } },
    ],
    attachments: [{ title: evil, text: evil }, evil],
  });
  await post(evil);
  const page = await pageOf(url);
  expect(page).not.toContain("<img");
  expect(page).toContain("&lt;img src=x&gt;");
});

test("the page shows a message that was refused, and why", async () => {
  const { url, post, control } = await sandboxForTest();
  await control("PUT", "fault", { kind: "503" });
  await post({ text: "Hello" });
  const page = await pageOf(url);
  expect(page).toContain("0 messages posted, 1 refused");
  expect(page).toContain("not posted: answered 503 service_unavailable");
});

test("a message of many marks does not stop the page", async () => {
  const { url, post } = await sandboxForTest();
  await post({ text: "*a* `b` _c_ <x> ".repeat(20_000) });
  await post({ text: "*".repeat(100_000) + "_`<~".repeat(50_000) });
  expect(await pageOf(url)).toContain("2 messages posted");
});

test("anything else is 404", async () => {
  const { url } = await sandboxForTest();
  expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
});
