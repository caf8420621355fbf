import { join } from "node:path";
import type { Route } from "apiforge";
import { readConfig } from "apiforge/internal/app";
import { createDevIssuer, type DevToken } from "apiforge/internal/edge";
import { silentLog, systemClock } from "apiforge/internal/kernel";

/** Whom a token speaks for. */
export type Caller = Omit<DevToken, "ttl">;

const twoHoursMs = 7_200_000;

/** A caller of `tenant` whose role and scopes are enough for `route`. */
export function caller(route: Pick<Route, "roles" | "scopes">, tenant: string): Caller {
  return { subject: "usr_table", tenant, role: route.roles?.[0] ?? "admin", scopes: route.scopes };
}

/** A token of the development issuer in `dataDir`, valid for 15 minutes. */
export function validToken(dataDir: string, who: Caller): Promise<string> {
  return signAt(dataDir, who, 0);
}

/** The same, signed two hours ago. */
export function expiredToken(dataDir: string, who: Caller): Promise<string> {
  return signAt(dataDir, who, twoHoursMs);
}

async function signAt(dataDir: string, who: Caller, agoMs: number): Promise<string> {
  const { jwtIssuer: issuer, jwtAudience: audience } = readConfig({ APIFORGE_DATA_DIR: dataDir });
  const dev = await createDevIssuer({
    directory: join(dataDir, "keys"),
    clock: { ...systemClock, now: () => systemClock.now() - agoMs },
    log: silentLog,
    issuer,
    audience,
  });
  return dev.sign(who);
}
