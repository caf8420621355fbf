import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { readConfig, settleUpstreamCall, type UpstreamCallSettlement } from "../app/index.ts";
import { silentLog } from "../kernel/index.ts";

/**
 * `apiforge settle KEY --answer STATUS [--body FILE] [--content-type TYPE]`, or `--nothing-done`: ends a call of
 * an upstream whose outcome is unknown, as somebody found it there. 1 when there is nothing to end.
 */
export async function settleCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      answer: { type: "string" },
      body: { type: "string" },
      "content-type": { type: "string", default: "application/json" },
      "nothing-done": { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const [key, ...others] = positionals;
  if (key === undefined || others.length > 0)
    throw new Error("Name one call, by the key it was sent as");
  if (values["nothing-done"] === (values.answer !== undefined)) {
    throw new Error("Say --answer STATUS, or --nothing-done");
  }
  const settlement: UpstreamCallSettlement =
    values.answer === undefined
      ? { found: "nothing_done" }
      : {
          found: "answer",
          answer: await answerOf(values.answer, values.body, values["content-type"]),
        };
  const stood = await settleUpstreamCall(readConfig(), key, settlement, silentLog);
  if (stood === "unknown") {
    console.log(
      settlement.found === "answer"
        ? "settled: repeats get this answer"
        : "settled: the next request with its key is sent",
    );
    return 0;
  }
  const why =
    stood === undefined ? "There is no such call" : `The call is ${stood.replace("_", " ")}`;
  console.error(`${why}; nothing was changed`);
  return 1;
}

async function answerOf(status: string, bodyFile: string | undefined, contentType: string) {
  // What an upstream says with 5xx is never an answer that is kept.
  if (!/^[234]\d\d$/.test(status)) throw new Error("--answer is a status from 200 to 499");
  if (bodyFile === undefined) return { status: Number(status), fields: [], body: Buffer.alloc(0) };
  const body = await readFile(bodyFile);
  return { status: Number(status), fields: ["content-type", contentType], body };
}
