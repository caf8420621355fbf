import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The files that the page is made of, as browsers get them. */
export interface PageFiles {
  readonly html: () => Promise<string>;
  readonly style: () => Promise<string>;
  /** The page's TypeScript, JSX and React as one script. */
  readonly script: () => Promise<string>;
}

/**
 * The page's files. The script is bundled when it is first asked for and kept: nobody has to build
 * before `npm start`, and a server whose page nobody opens does not load the bundler. React comes as
 * CommonJS only, so stripping the types would not do.
 */
export function pageFiles(): PageFiles {
  let script: Promise<string> | undefined;
  return {
    html: () => readFile(pathOf("index.html"), "utf8"),
    style: () => readFile(pathOf("style.css"), "utf8"),
    script: () => (script ??= bundle(pathOf("main.tsx"))),
  };
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../page/${name}`, import.meta.url));
}

async function bundle(entry: string): Promise<string> {
  const { rolldown } = await import("rolldown");
  await using build = await rolldown({
    input: entry,
    platform: "browser",
    resolve: { conditionNames: ["@apiforge/source"] },
    transform: { define: { "process.env.NODE_ENV": '"production"' } },
  });
  const { output } = await build.generate({ format: "esm", minify: true });
  return output[0].code;
}
