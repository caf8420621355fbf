// Runs on any Node from 18 on, before anything is installed: node: modules and old syntax only.
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join, sep } from "node:path";

/** @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean }} LockEntry */

/**
 * Why `node_modules` under `root` cannot be used as it is, or undefined when it matches
 * `package-lock.json`. npm writes `node_modules/.package-lock.json` as the last act of an install, so
 * a missing one also means an install that was cut short. Optional packages may be absent: most are
 * builds for other platforms.
 * @param {string} root
 * @returns {string | undefined}
 */
export function staleReason(root) {
  const wanted = readPackages(join(root, "package-lock.json"));
  if (wanted === undefined) return "package-lock.json is missing or is not JSON";
  const present = readPackages(join(root, "node_modules", ".package-lock.json"));
  if (present === undefined) return "node_modules is missing or incomplete";
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes("node_modules/")) continue;
    const found = present[path];
    if (found === undefined && (entry.optional || entry.devOptional)) continue;
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) {
      return `${path} is not the one in package-lock.json`;
    }
  }
  return undefined;
}

/**
 * True when the install script of the npm package `node` has put the pinned runtime in place.
 * @param {string} root
 */
export function hasPinnedNode(root) {
  return existsSync(pinnedNode(root));
}

/**
 * Path of the pinned Node.js, there or not.
 * @param {string} root
 */
export function pinnedNode(root) {
  // On Windows `node` is an empty placeholder beside the real file.
  const name = process.platform === "win32" ? "node.exe" : "node";
  return join(root, "node_modules", "node", "bin", name);
}

/**
 * `path` without the folders of npm packages: `npm ci` deletes the Node that lies in one of them, so
 * it has to be run by the machine's own.
 * @param {string} path value of the `PATH` variable
 */
export function hostPath(path) {
  const packageBinaries = `node_modules${sep}.bin`;
  return path
    .split(delimiter)
    .filter((folder) => !folder.includes(packageBinaries))
    .join(delimiter);
}

/**
 * @param {string} file
 * @returns {Record<string, LockEntry> | undefined}
 */
function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}
