import { execFileSync } from "node:child_process";

/** Of a program that is no package; empty for the others. */
export function programVersion(name: string): readonly [string, string] | readonly [] {
  const flags: Readonly<Record<string, string>> = {
    nginx: "-v",
    haproxy: "-v",
    caddy: "version",
  };
  const flag = flags[name];
  if (flag === undefined) return [];
  // nginx prints it to its standard error.
  const output = execFileSync("sh", ["-c", `${name} ${flag} 2>&1`], { encoding: "utf8" });
  return [name, output.split("\n")[0] ?? ""];
}
