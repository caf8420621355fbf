import { globSync, readFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { violationsOf } from "./check.ts";
import { importsOf } from "./imports.ts";

// usage: node scripts/boundaries/main.ts [root of the tree, default the working directory]
const root = resolve(process.argv[2] ?? ".");
const files = globSync("{packages,examples,bench,scripts,test}/**/*.{ts,tsx,mts,js,mjs}", {
  cwd: root,
  exclude: (name) => /(^|[\\/])(node_modules|dist)$/.test(name),
}).map((file) => file.split(sep).join("/"));

let violations = 0;
for (const file of files.sort()) {
  const imports = importsOf(file, readFileSync(join(root, file), "utf8"));
  for (const complaint of violationsOf(file, imports)) {
    violations += 1;
    console.error(`${file}: ${complaint}`);
  }
}

console.log(`${files.length} files, ${violations} violations of the direction rule`);
if (violations > 0 || files.length === 0) process.exitCode = 1;
