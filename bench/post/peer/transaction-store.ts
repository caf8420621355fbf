import type { Pool } from "pg";
import type { ProjectStore } from "./project-store.ts";

const insertProject = {
  name: "insert-project",
  text: `insert into projects (id, tenant, name, status, description, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)`,
};
const insertEvent = {
  name: "insert-event",
  text: `insert into events (type, tenant, data, request_id, created_at)
         values ($1, $2, $3, $4, $5)`,
};

/**
 * A transaction as the documentation of `pg` writes it (node-postgres.com/features/transactions): a
 * client of the pool for each request and one awaited query for each statement. pg prepares the two
 * inserts once per connection.
 */
export function openTransactionStore(pool: Pool): ProjectStore {
  return {
    async insert(tenant, project, requestId) {
      const { id, name, status, description, createdBy, createdAt } = project;
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        await client.query({
          ...insertProject,
          values: [id, tenant, name, status, description, createdBy, createdAt],
        });
        await client.query({
          ...insertEvent,
          values: ["project.created", tenant, JSON.stringify(project), requestId, createdAt],
        });
        await client.query("COMMIT");
      } catch (error) {
        await client.query("ROLLBACK");
        throw error;
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
}
