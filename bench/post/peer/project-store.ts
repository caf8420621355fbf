import pg from "pg";

const schema = `
create table if not exists projects (
  id text primary key,
  tenant text not null,
  name text not null,
  status text not null,
  description text,
  created_by text not null,
  created_at timestamptz not null
);
create index if not exists projects_by_tenant on projects (tenant, created_at);
create table if not exists events (
  seq bigint generated always as identity primary key,
  type text not null,
  tenant text not null,
  data text not null,
  request_id text not null,
  created_at timestamptz not null
);`;

/** A project as it is stored. */
export interface Project {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly description: string | null;
  readonly createdBy: string;
  readonly createdAt: string;
}

/** The project table and its events. */
export interface ProjectStore {
  /** Inserts the project and its `project.created` event in one transaction. */
  insert(tenant: string, project: Project, requestId: string): Promise<void>;
  close(): Promise<void>;
}

/** Connects, creates the missing tables and answers a pool of `connections`. */
export async function openPool(url: string, connections: number): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  pool.on("error", (error) => console.error("An idle PostgreSQL connection failed:", error));
  await pool.query(schema);
  return pool;
}
