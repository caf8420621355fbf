import { expect, test } from "vitest";

import { verifyAudit } from "../../../src/durable/index.ts";
import { auditGenesis, sealHash, type Row, type SqlRunner } from "../../../src/store/index.ts";

const entry = {
  n: 1,
  id: "aud_1",
  tenant: "ten_1",
  subject: null,
  action: "note.added",
  detail: "{}",
  requestId: "req_1",
  createdAt: 5,
};
const sound: Row = {
  position: 1,
  sealed_n: 1,
  hash: sealHash(auditGenesis, 1, entry),
  ...entry,
  request_id: "req_1",
  created_at: 5,
};

/** The report on a chain of one row, as a store gives it whose columns take any type. */
function verifyRow(row: Row) {
  const answers: Row[][] = [[row], [{ sealed: 1, unsealed: 0 }], []];
  const runner = { query: async () => answers.shift() ?? [] } as unknown as SqlRunner;
  return verifyAudit((work) => work(runner));
}

test("a row as it was sealed is intact", async () => {
  expect(await verifyRow(sound)).toMatchObject({ intact: true, sealed: 1 });
});

test.each([
  ["a hash that is a text", { hash: "x" }],
  ["a subject of bytes in place of nobody", { subject: Buffer.from("usr_2") }],
  ["a subject that is empty in place of nobody", { subject: "" }],
])("%s is named as altered, at its place", async (_, altered) => {
  expect(await verifyRow({ ...sound, ...altered })).toEqual({
    intact: false,
    fault: { kind: "altered", position: 1, n: 1, id: "aud_1" },
  });
});
