import { spawnSync } from "node:child_process";

/** Numeric user and group that a child process runs as. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The user to run a database as: `postgres`, else `nobody`, when this process is root, because
 * PostgreSQL refuses to run as root. Undefined otherwise: the child then runs as this process does.
 * @throws Error when this process is root and neither user exists.
 */
export function unprivilegedUser(): UserIds | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const uid = askId("-u", name);
    const gid = askId("-g", name);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error(
    "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as. " +
      "Run the tests as an ordinary user, or create one: useradd --system postgres",
  );
}

function askId(flag: "-u" | "-g", name: string): number | undefined {
  const { status, stdout } = spawnSync("id", [flag, name], { encoding: "utf8" });
  return status === 0 ? Number(stdout) : undefined;
}
