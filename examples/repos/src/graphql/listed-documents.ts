import { hash } from "node:crypto";

/** Operations of our own clients, which are all that `documents: "listed"` runs. */
const documents = [
  "query Repository($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { nameWithOwner description stargazerCount topics } }",
  "mutation AddTopic($owner: String!, $name: String!, $topic: String!) { addRepositoryTopic(owner: $owner, name: $name, topic: $topic) { topics } }",
] as const;

/** The listed documents by the SHA-256 of their text in hexadecimal, by which clients name them. */
export const listedDocuments: ReadonlyMap<string, string> = new Map(
  documents.map((document) => [hash("sha256", document), document]),
);
