import type { Transaction } from "../../durable/index.ts";

/**
 * Ends, with this commit, what any node remembers of any credential: whoever takes a right away
 * calls it in the same transaction, last, since it locks the one row that all revocations share.
 */
export async function bumpEpoch({ sql }: Transaction): Promise<void> {
  await sql`update forge_auth_epoch set epoch = epoch + 1`;
}
