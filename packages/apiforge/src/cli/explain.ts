import { parseArgs } from "node:util";

import { loadGatewayTools, type ExplainedRequest, type Explanation } from "../app/index.ts";
import { reportProblems } from "./gateway-report.ts";
import { styled } from "./table.ts";

const usage = `Usage: apiforge explain METHOD PATH [--token T] [--header "Name: value"] [--body JSON] [--config file] [--json]`;

/** `apiforge explain METHOD PATH`: which route and stages, and what would be refused; 0 when it passes, 1 when not. */
export async function explainCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      config: { type: "string" },
      json: { type: "boolean", default: false },
      token: { type: "string" },
      header: { type: "string", multiple: true, default: [] },
      body: { type: "string" },
    },
    allowPositionals: true,
  });
  const [method, path] = positionals;
  if (method === undefined || path?.startsWith("/") !== true || positionals.length !== 2) {
    throw new Error(usage);
  }
  const { readGatewayFile, explainRequest } = await loadGatewayTools();
  const file = await readGatewayFile(values.config);
  if (file.gateway === undefined) {
    reportProblems(file);
    return 1;
  }
  const request = {
    method: method.toUpperCase(),
    path,
    headers: headersOf(values.header, values.token, values.body),
    ...(values.body === undefined ? {} : { body: values.body }),
  };
  const explanation = await explainRequest(file.gateway, file.settings, request);
  console.log(values.json ? asJson(explanation) : describe(request, explanation));
  return explanation.verdict.outcome === "refused" ? 1 : 0;
}

function headersOf(
  lines: readonly string[],
  token: string | undefined,
  body: string | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
  for (const line of lines) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new Error(`--header ${line}: write "Name: value"`);
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

function asJson({ verdict: { route: _route, ...verdict }, ...rest }: Explanation): string {
  return JSON.stringify({ ...rest, verdict }, null, 2);
}

function describe(request: ExplainedRequest, explanation: Explanation): string {
  const { route, stages, verdict } = explanation;
  const head = styled("bold", `${request.method} ${request.path}`);
  if (route === undefined) return `${head}\n\n${verdictLine(explanation)}`;
  const where = route.endpoints.length === 0 ? "" : ` at ${route.endpoints.join(", ")}`;
  const asked = route.upstreamPath === undefined ? "" : `, asked for ${route.upstreamPath}`;
  const subhead = `${route.at}: ${route.method} ${route.path}, to ${route.backend}${where}${asked}`;
  const nameWidth = Math.max(...stages.map(({ stage }) => stage.length));
  const textWidth = Math.max(...stages.map(({ does }) => does.length));
  let previous = "";
  const lines = stages.map(({ stage, does, answers }) => {
    const isFirst = stage !== previous;
    previous = stage;
    const isRefusing = stage === verdict.stage;
    const mark = isRefusing ? styled("red", "×") : " ";
    const name = (isFirst ? stage : "").padEnd(nameWidth);
    const statuses = answers.length === 0 ? "" : styled("dim", `else ${answers.join(" ")}`);
    return `${isFirst ? mark : " "} ${name}  ${does.padEnd(textWidth)}  ${statuses}`.trimEnd();
  });
  return [head, subhead, "", ...lines, "", verdictLine(explanation)].join("\n");
}

function verdictLine({ verdict, route }: Explanation): string {
  const { outcome, stage, status, code, message } = verdict;
  switch (outcome) {
    case "passes":
      return styled("green", `Passes all stages to ${route?.backend ?? "its route"}.`);
    case "answered":
      return styled("green", `Answered by ${stage} with ${status}.`);
    case "unknown":
      return styled("yellow", `Comes to ${stage}: ${message}.`);
    case "refused":
      return styled("red", `Refused by ${stage} with ${status} ${code}: ${message}.`);
  }
}
