import type { DatabaseSync } from "node:sqlite";

import { storeError } from "../errors.ts";
import { requirePlainName } from "../migrations/plan.ts";

// What the rows of a tenant table are kept under; its own name becomes the view's.
const suffix = "_of_all_tenants";
// Statements have no other way to a table than its name, in whatever quotes.
const guardedTable = new RegExp(String.raw`${suffix}\b`, "i");

/**
 * Puts a view of the acting tenant's rows in the place of a table: users' SQL stays as it is and
 * reaches no other rows, because {@link refuseGuardedTable} keeps it from the table itself.
 * @throws {store_misconfigured} when the table has no column `tenant` or no primary key.
 */
export function guardTable(database: DatabaseSync, table: string): void {
  const rows = `${requirePlainName(table)}${suffix}`;
  const columns = database.prepare(`pragma table_info(${table})`).all();
  const names = columns.map((column) => String(column["name"]));
  const key = columns
    .filter((column) => column["pk"] !== 0)
    .map((column) => String(column["name"]));
  if (!names.includes("tenant") || key.length === 0) {
    throw storeError(
      "store_misconfigured",
      `The tenant table ${table} needs a column tenant and a primary key.`,
    );
  }
  const list = names.map(quoted).join(", ");
  const given = names.map((name) => `new.${quoted(name)}`).join(", ");
  const changed = names.map((name) => `${quoted(name)} = new.${quoted(name)}`).join(", ");
  const same = key.map((name) => `${quoted(name)} = old.${quoted(name)}`).join(" and ");
  const ownOnly = `select raise(abort, 'a row of another tenant')
      where new.tenant is not forge_tenant();`;
  database.exec(`
    alter table ${table} rename to ${rows};
    create view ${table} as select * from ${rows} where tenant = forge_tenant();
    create trigger ${table}_insert instead of insert on ${table} begin
      ${ownOnly}
      insert into ${rows} (${list}) values (${given});
    end;
    create trigger ${table}_update instead of update on ${table} begin
      ${ownOnly}
      update ${rows} set ${changed} where ${same};
    end;
    create trigger ${table}_delete instead of delete on ${table} begin
      delete from ${rows} where ${same};
    end;
  `);
}

/**
 * Lets users' SQL reach tenant tables only through their views.
 * @throws {store_query_failed} when it names the table behind one.
 */
export function refuseGuardedTable(text: string): void {
  if (!guardedTable.test(text)) return;
  throw storeError(
    "store_query_failed",
    `A statement must not name a table that ends in ${suffix}: leave that ending out, and it sees its tenant's rows.`,
  );
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
