import { defineMigration } from "apiforge";

const tables = (bigint: string, idType: string): string => `
  create table slack_messages (
    tenant text not null,
    id ${idType} not null,
    channel text not null,
    text text not null,
    posted_by text not null,
    posted_at ${bigint} not null,
    primary key (tenant, id)
  );
  create table slack_events (
    tenant text not null,
    seq ${bigint} not null,
    message text not null,
    primary key (tenant, seq)
  );
`;

/** Tables of the workspaces, which are the tenants. Instants are epoch milliseconds. */
export const slackMigrations = [
  defineMigration("slack-tiers-0001", {
    sqlite: tables("integer", "text"),
    postgres: tables("bigint", `text collate "C"`),
    tenantTables: ["slack_messages", "slack_events"],
  }),
];
