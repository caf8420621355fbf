import {
  createDeployment,
  createHttpClient,
  eventually,
  storeNames,
  type RawConnection,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, test } from "vitest";

import { ProjectWriter } from "./project-writer.ts";
import { checkEnvelope, postHead } from "./raw-http.ts";

// The server gives a header section 10 s and a request 30 s, and looks every 5 s. Real time: what
// is shown is that the real server's own limits are in force.
const refusalDeadlineMs = 45_000;
const slowClients = 20;

describe.concurrent.for(storeNames)("%s", (store) => {
  test(
    "slow headers and slow bodies get 408, and hold nobody up meanwhile",
    { timeout: refusalDeadlineMs + 15_000 },
    async ({ expect }) => {
      await using deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
      const token = await deployment.token({ sub: "usr_slow" });
      const server = await deployment.start();
      await using client = createHttpClient(server.url);
      await using writer = new ProjectWriter(token, () => server.url);

      const inHeaders = await client.connect();
      await inHeaders.write("POST /api/projects HTTP/1.1\r\nHost: localhost\r\nX-Slow");
      const inBody = await Promise.all(Array.from({ length: slowClients }, () => client.connect()));
      for (const [index, connection] of inBody.entries()) {
        await connection.write(`${postHead(token, `slow-${index}`, 100)}{"name":`);
      }

      for (let index = 0; index < slowClients; index += 1) await writer.sendUntilAcknowledged();
      expect(writer.refusals).toEqual(new Map());

      for (const connection of [inHeaders, ...inBody]) {
        await eventually("an answer", () => hasBody(connection), refusalDeadlineMs);
        checkEnvelope(await connection.closed(), 408, "request_timeout");
      }
      const stored = await deployment.inspect((raw) => raw.all("select id from projects"));
      expect(stored).toHaveLength(slowClients);
      await server.stop();
    },
  );
});

function hasBody(connection: RawConnection): boolean {
  return connection.received().includes("\r\n\r\n{");
}
