import { posix } from "node:path";

/** Where a file stands in the tree. All paths are relative to its root, with forward slashes. */
export interface Place {
  /** Folder of the npm workspace, such as `packages/apiforge`; empty for the root. */
  readonly workspace: string;
  /** True below `src/` (and anywhere in `bench`): the code that the direction rule is about. */
  readonly isProduction: boolean;
  /** Room of `packages/apiforge/src`, `"."` for files at its top, undefined elsewhere. */
  readonly room: string | undefined;
}

const workspacePattern = /^((?:packages|examples)\/[^/]+|bench)\//;

export function placeOf(path: string): Place {
  const workspace = workspacePattern.exec(path)?.[1] ?? "";
  const inside = workspace === "" ? path : path.slice(workspace.length + 1);
  return {
    workspace,
    isProduction: inside.startsWith("src/") || workspace === "bench",
    room: workspace === "packages/apiforge" ? roomOf(inside) : undefined,
  };
}

function roomOf(inside: string): string | undefined {
  const [top, first, second, ...rest] = inside.split("/");
  if (top !== "src" || first === undefined) return undefined;
  if (second === undefined) return ".";
  const hasFolder = rest.length > 0;
  if (first === "features") return hasFolder ? `features/${second}` : "features";
  if (first === "store" && hasFolder && second !== "migrations") return `store/${second}`;
  return first;
}

/** The index through which others reach a room: `src/store/index.ts` for `store`. */
export function indexOf(room: string): string {
  return posix.join("packages/apiforge/src", room, "index.ts");
}

/** Name of the package that a bare specifier starts with: `@slack/webhook` for `@slack/webhook/dist/x`. */
export function packageOf(specifier: string): string {
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}
