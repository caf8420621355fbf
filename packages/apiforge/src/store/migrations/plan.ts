import { hash } from "node:crypto";

import type { Migration } from "../contract.ts";
import { storeError } from "../errors.ts";

/** A migration as one store runs it, with the digest by which a later edit is noticed. */
export interface MigrationStep {
  readonly name: string;
  readonly sql: string;
  /** Tables to be guarded once `sql` has run. */
  readonly tenantTables: readonly string[];
  readonly checksum: string;
}

/** What is recorded of an applied migration. */
export interface AppliedMigration {
  readonly name: string;
  readonly checksum: string;
}

/** The steps of `migrations` for one dialect. */
export function migrationSteps(
  migrations: readonly Migration[],
  dialect: "sqlite" | "postgres",
): readonly MigrationStep[] {
  return migrations.map((migration) => {
    const { name, [dialect]: sql, tenantTables = [] } = migration;
    return { name, sql, tenantTables, checksum: hash("sha256", [sql, ...tenantTables].join("\n")) };
  });
}

const plainName = /^[a-z_][a-z0-9_]*$/;

/**
 * A name that needs no quotes in SQL.
 * @throws {TypeError} for any other.
 */
export function requirePlainName(name: string): string {
  if (plainName.test(name)) return name;
  throw new TypeError(
    `${name} cannot be a tenant table: use lower-case letters, digits and underscores`,
  );
}

/**
 * The steps that are still to be applied, in order.
 * @throws {migration_changed} when an applied step's text is no longer what was applied.
 */
export function pendingSteps(
  steps: readonly MigrationStep[],
  applied: readonly AppliedMigration[],
): readonly MigrationStep[] {
  const checksums = new Map(applied.map((step) => [step.name, step.checksum]));
  return steps.filter((step) => {
    const checksum = checksums.get(step.name);
    if (checksum !== undefined && checksum !== step.checksum) {
      throw storeError(
        "migration_changed",
        `Migration ${step.name} was edited after it was applied. Restore its text and put the change into a new migration.`,
      );
    }
    return checksum === undefined;
  });
}
