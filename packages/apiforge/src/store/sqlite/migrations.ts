import type { Migration } from "../contract.ts";
import { migrationSteps, pendingSteps, type AppliedMigration } from "../migrations/plan.ts";
import type { SqliteConnection } from "./connection.ts";
import { sqliteFailure } from "./failures.ts";
import { guardTable } from "./tenant-guard.ts";

/** Applies what is missing of `migrations`, each in a transaction of its own. */
export function migrate(connection: SqliteConnection, migrations: readonly Migration[]): void {
  const { database } = connection;
  try {
    database.exec(
      "create table if not exists forge_migrations (name text primary key, checksum text not null, applied_at integer not null)",
    );
    const applied: AppliedMigration[] = database
      .prepare("select name, checksum from forge_migrations")
      .all()
      .map((row) => ({ name: String(row["name"]), checksum: String(row["checksum"]) }));
    const record = database.prepare(
      "insert into forge_migrations (name, checksum, applied_at) values (?, ?, ?)",
    );
    for (const step of pendingSteps(migrationSteps(migrations, "sqlite"), applied)) {
      database.exec("begin immediate");
      try {
        database.exec(step.sql);
        for (const table of step.tenantTables) guardTable(database, table);
        record.run(step.name, step.checksum, Date.now());
        database.exec("commit");
      } catch (error) {
        if (database.isTransaction) database.exec("rollback");
        throw error;
      }
    }
  } catch (error) {
    throw sqliteFailure(error);
  }
}
