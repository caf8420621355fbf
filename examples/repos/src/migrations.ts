import { defineMigration } from "apiforge";

/** Tables of the repos system with a few repositories, which belong to no tenant: everybody reads them. */
export const repoMigrations = [
  defineMigration(
    "repos-0001",
    `
    create table repos (
      owner text not null,
      name text not null,
      description text,
      stars integer not null,
      primary key (owner, name)
    );
    create table repo_topics (
      owner text not null,
      name text not null,
      topic text not null,
      added_by text not null,
      primary key (owner, name, topic),
      foreign key (owner, name) references repos (owner, name)
    );
    insert into repos (owner, name, description, stars) values
      ('octocat', 'hello-world', 'My first repository', 2900),
      ('octocat', 'spoon-knife', 'A repository to fork', 13100),
      ('apiforge', 'apiforge', 'The production layer of an API', 412),
      ('apiforge', 'empty', null, 0);
    insert into repo_topics (owner, name, topic, added_by) values
      ('octocat', 'hello-world', 'example', 'seed'),
      ('apiforge', 'apiforge', 'api', 'seed'),
      ('apiforge', 'apiforge', 'durable', 'seed');
  `,
  ),
];
