/** How the copies of a table's one real row differ from it; expressions see the copy's number as `i`. */
export interface RowCopies {
  readonly table: string;
  /** Columns that the database numbers itself. */
  readonly numbered: readonly string[];
  /** SQL expressions of the columns that differ. */
  readonly changed: Readonly<Record<string, string>>;
}

/** What the two dialects write differently. */
export interface CopyDialect {
  /** `i` as 22 digits, so that copied ids sort before new ones and have their length. */
  readonly paddedNumber: string;
  readonly randomDigest: string;
}

/** A queue that no worker serves: its jobs are ready and wait for as long as the store exists. */
const unservedQueue = "unserved";

/**
 * The copies that fill a store: one project, event, job and idempotency record each. Digests are
 * random, as hashes are. Of the jobs, those with an odd number are completed and the others wait in
 * {@link unservedQueue}.
 */
export function storeCopies(dialect: CopyDialect): RowCopies[] {
  const id = (prefix: string) => `'${prefix}_' || ${dialect.paddedNumber}`;
  return [
    { table: "projects", numbered: [], changed: { id: id("proj") } },
    { table: "forge_events", numbered: ["seq"], changed: { id: id("evt") } },
    {
      table: "forge_idempotency",
      numbered: ["n"],
      changed: { digest: dialect.randomDigest, idempotency_key: "'copy-' || i" },
    },
    {
      table: "forge_jobs",
      numbered: ["n"],
      changed: {
        id: id("job"),
        queue: `case i % 2 when 1 then queue else '${unservedQueue}' end`,
        state: "case i % 2 when 1 then 3 else 1 end",
        attempt: "i % 2",
        finished_at: "case i % 2 when 1 then created_at end",
      },
    },
  ];
}

/**
 * Keeps the table's one real row as the temporary table `original`. Later statements cannot read it
 * from the table itself, where any copy may come first.
 */
export function keepOriginal(copies: RowCopies): string {
  return `drop table if exists original;
    create temporary table original as select * from ${copies.table} limit 1`;
}

/** An INSERT of copies `from` up to and including `to`; `numbers` is a FROM item with a column `i`. Needs {@link keepOriginal}. */
export function copyStatement(
  copies: RowCopies,
  columns: readonly string[],
  numbers: string,
): string {
  const copied = columns.filter((column) => !copies.numbered.includes(column));
  const values = copied.map((column) => copies.changed[column] ?? column);
  return `insert into ${copies.table} (${copied.join(", ")})
    select ${values.join(", ")} from original, ${numbers}`;
}
