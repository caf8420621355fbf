import { readFileSync, writeFileSync } from "node:fs";
import { missingBuilds, type LockEntries } from "./missing-builds.ts";

// usage: node scripts/lockfile/main.ts   (npm run lockfile)
// Adds to package-lock.json the builds for other platforms that npm left out.

const file = "package-lock.json";
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: LockEntries };
const missing = missingBuilds(lock.packages);
const entries = Object.entries({ ...lock.packages, ...missing });
// npm's own order, so that the next install changes nothing.
entries.sort(([left], [right]) => left.localeCompare(right, "en"));
writeFileSync(
  file,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(entries) }, null, 2)}\n`,
);
console.log(`${Object.keys(missing).length} builds added to ${file}`);
