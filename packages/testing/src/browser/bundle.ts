import { rolldown } from "rolldown";

/**
 * A module of this tree, in TypeScript or JSX, as one script for browsers, with React's checks of
 * development: its StrictMode then mounts every component twice.
 */
export async function bundleForBrowser(entry: string): Promise<string> {
  await using bundle = await rolldown({
    input: entry,
    platform: "browser",
    resolve: { conditionNames: ["@apiforge/source"] },
    transform: { define: { "process.env.NODE_ENV": '"development"' } },
    logLevel: "silent",
  });
  const { output } = await bundle.generate({ format: "esm" });
  return output[0].code;
}
