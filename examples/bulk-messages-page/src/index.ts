import { defineRoute, textReply, type System } from "apiforge";

import { pageFiles } from "./files.ts";

const tags = ["bulk messages"];

/** Only what this server sends runs in the page, and nothing but this server hears of it. */
const pageHeaders = {
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; " +
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** A page that submits bulk messages and shows their progress, at `/bulk-messages/demo`. */
export function bulkMessagesPage(): System {
  const files = pageFiles();
  return {
    routes: [
      fileRoute("/bulk-messages/demo", "text/html", files.html),
      fileRoute("/bulk-messages/demo/style.css", "text/css", files.style),
      fileRoute("/bulk-messages/demo/page.js", "text/javascript", files.script),
    ],
  };
}

function fileRoute(path: string, mediaType: string, read: () => Promise<string>) {
  return defineRoute({
    method: "GET",
    path,
    auth: "none",
    summary: `The demo page's ${mediaType}`,
    tags,
    // Making the script takes longer than a transaction may.
    transaction: "none",
    replies: { 200: textReply(`${mediaType}; charset=utf-8`) },
    handler: async () => ({ status: 200, body: await read(), headers: pageHeaders }),
  });
}
