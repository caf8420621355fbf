import type { Reader, Transaction } from "apiforge";

/** A repository as it is stored. */
export interface Repo {
  readonly owner: string;
  readonly name: string;
  readonly description: string | null;
  readonly stars: number;
}

export async function findRepo(
  reader: Reader,
  owner: string,
  name: string,
): Promise<Repo | undefined> {
  const [repo] = await reader.sql<Repo>`
    select owner, name, description, stars from repos where owner = ${owner} and name = ${name}`;
  return repo;
}

/** The first `limit` repositories of `owner`, by name. */
export function listRepos(reader: Reader, owner: string, limit: number): Promise<readonly Repo[]> {
  return reader.sql<Repo>`
    select owner, name, description, stars from repos where owner = ${owner}
    order by name limit ${limit}`;
}

export async function listTopics(reader: Reader, { owner, name }: Repo): Promise<string[]> {
  const rows = await reader.sql<{ topic: string }>`
    select topic from repo_topics where owner = ${owner} and name = ${name} order by topic`;
  return rows.map(({ topic }) => topic);
}

/** Adds a topic; answers false where the repository had it before. */
export async function addTopic(
  tx: Transaction,
  { owner, name }: Repo,
  topic: string,
  addedBy: string,
): Promise<boolean> {
  const added = await tx.sql`
    insert into repo_topics (owner, name, topic, added_by)
    values (${owner}, ${name}, ${topic}, ${addedBy}) on conflict do nothing returning topic`;
  return added.length > 0;
}
