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

/** One statement is one transaction and one round trip; pg prepares it once per connection. */
const insertProject = {
  name: "insert-project",
  text: `
with project as (
  insert into projects (id, tenant, name, status, description, created_by, created_at)
  values ($1, $2, $3, $4, $5, $6, $7)
)
insert into events (type, tenant, data, request_id, created_at)
values ('project.created', $2, $8, $9, $7)`,
};

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

/** Connects, creates the missing tables and opens a pool of `connections`. */
export async function openProjectStore(url: string, connections: number): Promise<ProjectStore> {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  pool.on("error", (error) => console.error("An idle PostgreSQL connection failed:", error));
  await pool.query(schema);
  return {
    async insert(tenant, project, requestId) {
      await pool.query({
        ...insertProject,
        values: [
          project.id,
          tenant,
          project.name,
          project.status,
          project.description,
          project.createdBy,
          project.createdAt,
          JSON.stringify(project),
          requestId,
        ],
      });
    },
    close: () => pool.end(),
  };
}
