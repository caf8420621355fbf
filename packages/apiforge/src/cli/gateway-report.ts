import { basename } from "node:path";

import { describeProblems, type CompiledGateway, type GatewayFile } from "../app/index.ts";

/** Tells on standard error what keeps a configuration from being served. */
export function reportProblems({ path, problems }: GatewayFile): void {
  console.error(describeProblems(problems, basename(path ?? "This folder")));
}

/** One line: what a sound configuration has. */
export function describeGateway(path: string | undefined, gateway: CompiledGateway): string {
  const { routes, upstreams } = gateway;
  const ways = counted(new Set(routes.map((route) => route.path)).size, "path");
  return `${basename(path ?? "")}: ${ways}, ${counted(routes.length, "route")}, ${counted(upstreams.size, "upstream")}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
