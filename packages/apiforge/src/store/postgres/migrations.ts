import type { Client } from "pg";

import { ApiForgeError } from "../../kernel/index.ts";
import type { Migration } from "../contract.ts";
import { storeError } from "../errors.ts";
import {
  migrationSteps,
  pendingSteps,
  type AppliedMigration,
  type MigrationStep,
} from "../migrations/plan.ts";
import { endsSession, postgresFailure } from "./failures.ts";
import { guardTable } from "./tenant-guard.ts";

/** The advisory lock of whoever migrates; others wait and then find nothing left to do. */
const migrationLock = "1718579815, 2";

/**
 * Applies what is missing of `migrations`, each in a transaction of its own, while every other node
 * that starts waits. The caller closes `client`, which ends the lock.
 */
export async function migrate(client: Client, migrations: readonly Migration[]): Promise<void> {
  try {
    await client.query(`select pg_advisory_lock(${migrationLock})`);
    await client.query(
      "create table if not exists forge_migrations (name text primary key, checksum text not null, applied_at bigint not null)",
    );
    const applied = await client.query<AppliedMigration>(
      "select name, checksum from forge_migrations",
    );
    for (const step of pendingSteps(migrationSteps(migrations, "postgres"), applied.rows)) {
      await apply(client, step);
    }
    await client.query(`select pg_advisory_unlock(${migrationLock})`);
  } catch (error) {
    throw postgresFailure(error, { connectionLost: endsSession(error) });
  }
}

async function apply(client: Client, step: MigrationStep): Promise<void> {
  await client.query("begin");
  try {
    await client.query(step.sql);
    for (const table of step.tenantTables) await client.query(guardTable(table));
    await client.query(
      "insert into forge_migrations (name, checksum, applied_at) values ($1, $2, $3)",
      [step.name, step.checksum, Date.now()],
    );
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw migrationFailure(step, postgresFailure(error, { connectionLost: endsSession(error) }));
  }
}

const statementFailures: ReadonlySet<string> = new Set(["store_query_failed", "unique_violation"]);

function migrationFailure(step: MigrationStep, error: unknown): unknown {
  if (!ApiForgeError.is(error) || !statementFailures.has(error.code)) return error;
  return storeError("store_query_failed", `Migration ${step.name} failed and was rolled back.`, {
    cause: error.cause,
  });
}
