import { notFound, sql, type Reader, type Transaction } from "apiforge";

import type { Project } from "./schema.ts";

/** A row of `projects`. */
interface ProjectRow {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly description: string | null;
  readonly created_by: string;
  readonly created_at: number;
  readonly updated_at: number;
}

/** A project to be inserted. */
export interface ProjectInsert {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly status: string;
  readonly description: string | null;
  readonly createdBy: string;
  readonly ownerEmail: string | undefined;
  readonly nowMs: number;
}

export async function insertProject(tx: Transaction, row: ProjectInsert): Promise<Project> {
  await tx.sql`
    insert into projects
      (tenant, id, name, status, description, created_by, owner_email, created_at, updated_at)
    values (${row.tenant}, ${row.id}, ${row.name}, ${row.status}, ${row.description},
      ${row.createdBy}, ${row.ownerEmail}, ${row.nowMs}, ${row.nowMs})`;
  const at = new Date(row.nowMs).toISOString();
  const { id, name, status, description, createdBy } = row;
  return { id, name, status, description, createdBy, createdAt: at, updatedAt: at };
}

/** The project of this tenant, or 404. */
export async function requireProject(tx: Reader, tenant: string, id: string): Promise<Project> {
  const [row] =
    await tx.sql<ProjectRow>`select * from projects where tenant = ${tenant} and id = ${id}`;
  if (row === undefined) throw notFound("No project has this id.");
  return toProject(row);
}

/** Fields of a project that a client may change; absent ones keep their value. */
export interface ProjectChange {
  readonly name?: string | undefined;
  readonly status?: string | undefined;
  readonly description?: string | null | undefined;
}

export async function updateProject(
  tx: Transaction,
  tenant: string,
  id: string,
  change: ProjectChange,
  nowMs: number,
): Promise<Project> {
  const before = await requireProject(tx, tenant, id);
  const { name = before.name, status = before.status, description = before.description } = change;
  await tx.sql`
    update projects
    set name = ${name}, status = ${status}, description = ${description}, updated_at = ${nowMs}
    where tenant = ${tenant} and id = ${id}`;
  return { ...before, name, status, description, updatedAt: new Date(nowMs).toISOString() };
}

/** Deletes the project with its members, or 404. */
export async function deleteProject(tx: Transaction, tenant: string, id: string): Promise<void> {
  await requireProject(tx, tenant, id);
  await tx.sql`delete from projects where tenant = ${tenant} and id = ${id}`;
}

/** What a page of projects is chosen by. Ids sort by time, so the newest come first. */
export interface ProjectPage {
  readonly status: string | undefined;
  /** Id of the last project of the page before. */
  readonly before: string | undefined;
  readonly limit: number;
}

export async function listProjects(
  tx: Reader,
  tenant: string,
  page: ProjectPage,
): Promise<Project[]> {
  const status = page.status === undefined ? sql`` : sql`and status = ${page.status}`;
  const before = page.before === undefined ? sql`` : sql`and id < ${page.before}`;
  const rows = await tx.sql<ProjectRow>`
    select * from projects where tenant = ${tenant} ${status} ${before}
    order by id desc limit ${page.limit}`;
  return rows.map(toProject);
}

function toProject(row: ProjectRow): Project {
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    description: row.description,
    createdBy: row.created_by,
    createdAt: new Date(row.created_at).toISOString(),
    updatedAt: new Date(row.updated_at).toISOString(),
  };
}
