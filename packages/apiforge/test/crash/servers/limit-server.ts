// A server with one limited route, whose handler notes in a file when it admitted a request: what
// survives a kill of the process. GET /limited is sliding, GET /quota by the calendar.
import { appendFileSync } from "node:fs";
import { createForge, defineRoute, runForge } from "apiforge";
import { z } from "zod";

const file = process.env["ADMITTED_FILE"] ?? "";
const limit = Number(process.env["LIMIT"]);

function limited(path: "/limited" | "/quota", per: "1h" | "month") {
  return defineRoute({
    method: "GET",
    path,
    auth: "none",
    transaction: "none",
    limits: [{ name: path.slice(1), limit, per }],
    replies: { 200: z.object({}) },
    handler: () => {
      appendFileSync(file, `${path}\n`);
      return { status: 200, body: {} };
    },
  });
}

const forge = await createForge({
  routes: [limited("/limited", "1h"), limited("/quota", "month")],
});
await runForge(forge);
