import type { ConfigProblem } from "./problem.ts";

/** Problems for people, one below the other: where, what is wrong, what to do. */
export function describeProblems(problems: readonly ConfigProblem[], file: string): string {
  const head = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const blocks = problems.map(
    ({ path, problem, remedy }) => `  ${path === "" ? file : path} ${problem}.\n    ${remedy}`,
  );
  return [`${file}: ${head}`, ...blocks].join("\n\n");
}
