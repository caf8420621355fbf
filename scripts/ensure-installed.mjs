// npm runs this before `start`, `test` and `token` on whatever Node the machine has: Node 18 syntax,
// node: modules only, and nothing on stdout, which belongs to the command that follows.
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { hasPinnedNode, hostPath, pinnedNode, staleReason } from "./installed-packages.mjs";

// The host's Node only runs npm here, so npm's remark that it does not match `engines` concerns
// nobody: what runs our code is the pinned Node. Everything else that npm says is passed on.
const engineRemark = /^npm warn EBADENGINE/i;

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * The pinned Node is a development dependency, so those are wanted under NODE_ENV=production too.
 * @param {string} root
 */
function install(root) {
  const { status, error, stderr } = spawnSync("npm", ["ci", "--include=dev"], {
    cwd: root,
    env: { ...process.env, PATH: hostPath(process.env.PATH ?? "") },
    shell: process.platform === "win32",
    stdio: ["ignore", 2, "pipe"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  for (const line of (stderr ?? "").split("\n")) {
    if (line !== "" && !engineRemark.test(line)) say(line);
  }
  if (error !== undefined) say(`npm could not be started: ${error.message}`);
  return status === 0;
}

/**
 * Compiles what the server loads, so that its first start is as quick and as small as later ones. A
 * failure costs only that.
 * @param {string} root
 */
function warmCompileCache(root) {
  const args = ["--conditions=@apiforge/source", "examples/server/src/warm.mjs"];
  spawnSync(pinnedNode(root), args, { cwd: root, stdio: "ignore" });
}

/** @param {string} root */
function ensureInstalled(root) {
  const reason = staleReason(root);
  if (reason !== undefined) {
    say(`Installing dependencies: ${reason}. This takes about a minute.`);
    if (!install(root)) {
      say("The install failed; what npm said is above. Run `npm ci` to try again.");
      return false;
    }
    if (hasPinnedNode(root)) warmCompileCache(root);
  }
  if (hasPinnedNode(root)) return true;
  say("The pinned Node.js is missing: npm was told not to run the install script that fetches it.");
  say("Run this once, then try again:  npm rebuild node --ignore-scripts=false");
  return false;
}

if (!ensureInstalled(dirname(dirname(fileURLToPath(import.meta.url))))) process.exitCode = 1;
