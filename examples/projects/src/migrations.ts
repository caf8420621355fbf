import { defineMigration } from "apiforge";

/** Tables of the projects system. Instants are epoch milliseconds. */
export const projectMigrations = [
  defineMigration("projects-0001", {
    sqlite: `
      create table projects (
        tenant text not null,
        id text not null,
        name text not null,
        status text not null,
        description text,
        created_by text not null,
        owner_email text,
        created_at integer not null,
        updated_at integer not null,
        primary key (tenant, id)
      ) without rowid;
      create table project_members (
        tenant text not null,
        project_id text not null,
        id text not null,
        email text not null,
        role text not null,
        added_by text not null,
        created_at integer not null,
        primary key (tenant, project_id, id),
        unique (tenant, project_id, email),
        foreign key (tenant, project_id) references projects (tenant, id) on delete cascade
      ) without rowid;
    `,
    postgres: `
      create table projects (
        tenant text not null,
        id text collate "C" not null,
        name text not null,
        status text not null,
        description text,
        created_by text not null,
        owner_email text,
        created_at bigint not null,
        updated_at bigint not null,
        primary key (tenant, id)
      );
      create table project_members (
        tenant text not null,
        project_id text collate "C" not null,
        id text collate "C" not null,
        email text not null,
        role text not null,
        added_by text not null,
        created_at bigint not null,
        primary key (tenant, project_id, id),
        unique (tenant, project_id, email),
        foreign key (tenant, project_id) references projects (tenant, id) on delete cascade
      );
    `,
  }),
];
