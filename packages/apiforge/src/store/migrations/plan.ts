import { hash } from "node:crypto";

import type { Migration } from "../contract.ts";
import { storeError } from "../errors.ts";

/** A migration as one store runs it, with the digest by which a later edit is noticed. */
export interface MigrationStep {
  readonly name: string;
  readonly sql: string;
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
  return migrations.map((migration) => ({
    name: migration.name,
    sql: migration[dialect],
    checksum: hash("sha256", migration[dialect]),
  }));
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
