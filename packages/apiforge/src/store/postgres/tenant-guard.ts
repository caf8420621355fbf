import type { Client } from "pg";

import type { Migration } from "../contract.ts";
import { storeError } from "../errors.ts";
import { requirePlainName } from "../migrations/plan.ts";
import { command, type Command } from "./command.ts";
import { endsSession, postgresFailure } from "./failures.ts";

/** The role that users' SQL runs as where the login would pass over row level security. */
const roleName = "apiforge_tenant";
/** The advisory lock of whoever grants: two grants at once on one table fail. */
const grantLock = "1718579815, 3";

/** How users' SQL is held to one tenant's rows; made of settings that end with their transaction. */
export interface TenantGuard {
  /** Goes before the first of a tenant's statements, in the same packet. */
  enter(tenant: string | undefined): Command;
}

/** SQL that holds everybody but superusers and their like, the owner too, to the acting tenant's rows. */
export function guardTable(table: string): string {
  requirePlainName(table);
  return `
    alter table ${table} enable row level security;
    alter table ${table} force row level security;
    create policy forge_tenant on ${table} using (tenant = current_setting('forge.tenant', true));
  `;
}

/**
 * The guard of these migrations' tenant tables; undefined when there are none. A superuser, or a
 * login with BYPASSRLS, is let through by every policy: for it the guard switches to a role that is
 * not, made here and given the rights on the tables that the application has.
 * @throws {store_misconfigured} when such a login may not make or take the role.
 */
export async function openTenantGuard(
  client: Client,
  migrations: readonly Migration[],
): Promise<TenantGuard | undefined> {
  if (migrations.every(({ tenantTables = [] }) => tenantTables.length === 0)) return undefined;
  try {
    return (await bypasses(client)) ? await roleGuard(client) : settingGuard();
  } catch (error) {
    throw missingRight(error) ?? postgresFailure(error, { connectionLost: endsSession(error) });
  }
}

// insufficient_privilege: https://www.postgresql.org/docs/current/errcodes-appendix.html
function missingRight(error: unknown): Error | undefined {
  if (!(error instanceof Error && "code" in error && error.code === "42501")) return undefined;
  return storeError(
    "store_misconfigured",
    `This login passes over row level security, and may neither make nor take the role ${roleName} that does not. Use a login without SUPERUSER and BYPASSRLS, or have a superuser create that role and grant it.`,
    { cause: error },
  );
}

async function bypasses(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ bypasses: boolean }>(
    "select rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user",
  );
  return rows[0]?.bypasses === true;
}

function settingGuard(): TenantGuard {
  return {
    enter: (tenant = "") => command("select set_config('forge.tenant', $1, true)", tenant),
  };
}

async function roleGuard(client: Client): Promise<TenantGuard> {
  await client.query(prepareRole);
  return {
    enter: (tenant = "") =>
      command(
        `select set_config('forge.tenant', $1, true), set_config('role', '${roleName}', true)`,
        tenant,
      ),
  };
}

// It has the rights on our own tables too, which are written in the same transaction: switching back
// for them would be a statement more in every commit. Roles belong to the whole server, so another database may make this one at the same moment.
const prepareRole = `do $$
begin
  perform pg_advisory_xact_lock(${grantLock});
  begin
    if not exists (select from pg_roles where rolname = '${roleName}') then
      create role ${roleName} nologin;
    end if;
  exception when duplicate_object or unique_violation then null;
  end;
  if not pg_has_role(current_user, '${roleName}', 'member') then
    execute format('grant ${roleName} to %I', current_user);
  end if;
  execute format('grant usage on schema %I to ${roleName}', current_schema());
  execute format('grant select, insert, update, delete on all tables in schema %I to ${roleName}', current_schema());
  execute format('grant usage, select, update on all sequences in schema %I to ${roleName}', current_schema());
  execute format('alter default privileges in schema %I grant select, insert, update, delete on tables to ${roleName}', current_schema());
  execute format('alter default privileges in schema %I grant usage, select, update on sequences to ${roleName}', current_schema());
end $$`;
