import { createHash } from "node:crypto";
import type { Answer } from "./exchange.ts";
import { markup, trust } from "./html.ts";
import type { Provider } from "./provider.ts";

const style = `
:root {
  color-scheme: light dark;
  --text: light-dark(#1d1c1d, #e8e8e8);
  --muted: light-dark(#616061, #a5a5a8);
  --line: light-dark(#e3e3e5, #35373b);
  --page: light-dark(#f6f6f7, #121315);
  --card: light-dark(#ffffff, #1a1d21);
  --link: light-dark(#1264a3, #4aa3e0);
  --bad: light-dark(#b3261e, #ff8a80);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.47 system-ui, "Segoe UI", "Liberation Sans", sans-serif; }
main { max-width: 760px; margin: 0 auto; padding: 28px 16px 48px; }
h1 { font-size: 20px; margin: 0; }
h1 + p { margin: 2px 0 20px; color: var(--muted); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
section + section { margin-top: 20px; }
.channel { display: flex; align-items: baseline; gap: 10px; padding: 12px 20px; border-bottom: 1px solid var(--line); }
h2 { font-size: 16px; margin: 0; }
.channel span, time, .aside, .note, .context, .kind, summary, dt { color: var(--muted); font-size: 13px; }
ol { list-style: none; margin: 0; padding: 8px 0; }
li { display: flex; gap: 10px; padding: 8px 20px; }
.avatar { flex: none; width: 36px; height: 36px; border-radius: 8px; background: #3d5afe; color: #fff; font-weight: 700; display: grid; place-items: center; }
.message { min-width: 0; flex: 1; }
.byline { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 8px; }
.badge { font-size: 10px; font-weight: 700; padding: 0 4px; border-radius: 3px; background: var(--line); color: var(--muted); align-self: center; }
.aside { margin-left: auto; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.body > * { margin: 0 0 6px; }
.body > :last-child { margin-bottom: 0; }
h3 { font-size: 18px; }
hr { border: 0; border-top: 1px solid var(--line); }
.section { display: flex; gap: 16px; justify-content: space-between; }
.fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 8px 16px; margin-top: 8px; }
.section > div { flex: 1; min-width: 0; }
.context, .actions { display: flex; flex-wrap: wrap; gap: 8px; }
.button { align-self: flex-start; border: 1px solid var(--line); border-radius: 5px; padding: 3px 12px; font-weight: 600; }
.button.primary { background: #007a5a; border-color: #007a5a; color: #fff; }
.button.danger { background: #c01343; border-color: #c01343; color: #fff; }
.attachment { border-left: 4px solid var(--line); padding-left: 12px; }
code { font: 13px/1.5 ui-monospace, "Liberation Mono", monospace; background: var(--page); border: 1px solid var(--line); border-radius: 4px; padding: 1px 4px; overflow-wrap: anywhere; }
pre { font: 13px/1.5 ui-monospace, "Liberation Mono", monospace; background: var(--page); border: 1px solid var(--line); border-radius: 6px; padding: 8px 10px; margin: 4px 0; overflow: auto; }
a { color: var(--link); text-decoration: none; }
.mention { color: var(--link); background: light-dark(#e8f5fa, #1b3442); border-radius: 3px; padding: 0 2px; }
.refused .avatar { background: var(--line); color: var(--bad); }
.refused .body { opacity: .65; }
.outcome { color: var(--bad); font-size: 13px; font-weight: 600; }
.empty { padding: 40px 20px; text-align: center; color: var(--muted); }
.empty p { margin: 0; }
.empty p:first-child { color: var(--text); font-weight: 600; }
details { border-top: 1px solid var(--line); padding: 10px 20px; }
summary { cursor: pointer; }
dl { margin: 10px 0 4px; }
dt { margin-top: 10px; }
dd { margin: 2px 0 0; }
dd code { display: block; padding: 6px 10px; }
`;

// Replaces the lists in place, so that an open <details> and the scroll position stay.
const script = `
setInterval(async () => {
  const answer = await fetch("/").catch(() => undefined);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of ["ol, .empty", ".channel"]) {
    const next = fresh.querySelectorAll(part);
    document.querySelectorAll(part).forEach((now, index) => {
      if (next[index] && now.outerHTML !== next[index].outerHTML) now.replaceWith(next[index]);
    });
  }
}, 2000);
`;

// The script is allowed by its hash, so nothing that a message brings along can run.
const policy = [
  "default-src 'none'",
  "connect-src 'self'",
  "img-src data:",
  "style-src 'unsafe-inline'",
  `script-src 'sha256-${createHash("sha256").update(script).digest("base64")}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The page at `/`: what the providers received, as a person would see it. */
export function pageAnswer(providers: readonly Provider[], origin: string): Answer {
  const page = markup`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>APIForge sandbox</title>
  <link rel="icon" href="data:,">
  <style>${trust(style)}</style>
</head>
<body>
  <main>
    <h1>APIForge sandbox</h1>
    <p>Stands in for the providers. Nothing shown here has left this machine.</p>
    ${providers.map((provider) => provider.view(origin))}
  </main>
  <script>${trust(script)}</script>
</body>
</html>
`;
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  return { status: 200, headers, body: page.source };
}
