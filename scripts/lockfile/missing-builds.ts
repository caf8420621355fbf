/** One entry of `packages` in `package-lock.json` (lockfileVersion 3), as far as it matters here. */
export interface LockEntry {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

/** `packages` of a `package-lock.json`: entries by their path in the tree. */
export type LockEntries = Record<string, LockEntry>;

const systems =
  /(?:^|[/-])(android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)(?:-|$)/;
const processors = /(?:^|-)(arm64|arm|ia32|loong64|ppc64|riscv64|s390x|wasm32|x64)(?:-|$)/;

/**
 * Entries that the lock lacks for optional dependencies of packages it does have. npm leaves out a
 * build that its registry does not carry, and a mirror may carry only some platforms; then `npm ci`
 * refuses the lock on every machine ("Missing: … from lock file"). The added entries have no
 * integrity: they are for machines that will fetch them, and npm records the hash there.
 * @throws {Error} when a package's name does not say which platform it is for.
 */
export function missingBuilds(entries: LockEntries): LockEntries {
  const missing: LockEntries = {};
  for (const [path, entry] of Object.entries(entries)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isPresent(entries, path, name)) continue;
      missing[`node_modules/${name}`] = buildEntry(name, version, entry.dev === true);
    }
  }
  return missing;
}

/** Looks where Node would: in the package's own `node_modules`, then in each folder above it. */
function isPresent(entries: LockEntries, path: string, name: string): boolean {
  const folders = path.split("/");
  for (let depth = folders.length; depth >= 0; depth--) {
    const candidate = [...folders.slice(0, depth), "node_modules", name].join("/");
    if (candidate in entries) return true;
  }
  return false;
}

function buildEntry(name: string, version: string, isDev: boolean): LockEntry {
  const platform = platformOf(name);
  if (platform === undefined || !/^\d/.test(version)) {
    throw new Error(`${name}@${version} is not in the lock and its name names no platform`);
  }
  return { version, ...platform, ...(isDev && { dev: true }), optional: true };
}

/** Platform that a prebuilt package is for, by the naming that every publisher of builds follows. */
export function platformOf(name: string): Pick<LockEntry, "os" | "cpu" | "libc"> | undefined {
  const os = systems.exec(name)?.[1];
  const cpu = processors.exec(name)?.[1];
  if (os === undefined || cpu === undefined) return undefined;
  const isMusl = name.includes("musl");
  const libc =
    os === "linux" && (isMusl || name.includes("gnu")) ? [isMusl ? "musl" : "glibc"] : [];
  return { os: [os], cpu: [cpu], ...(libc.length > 0 && { libc }) };
}
