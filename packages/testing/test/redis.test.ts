import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { spawnProcess, startRedis } from "../src/index.ts";
import { eventually } from "./eventually.ts";

async function command(port: number, line: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    socket.write(`${line}\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.toString("utf8");
  } finally {
    socket.destroy();
  }
}

async function isListening(port: number): Promise<boolean> {
  try {
    return (await command(port, "PING")) === "+PONG\r\n";
  } catch {
    return false;
  }
}

describe("startRedis", () => {
  test.for(["always", "everysec"] as const)(
    "serves with appendfsync %s and stops",
    async (appendfsync) => {
      const redis = await startRedis({ appendfsync });
      expect(await command(redis.port, "CONFIG GET appendfsync")).toContain(appendfsync);
      expect(await command(redis.port, "CONFIG GET appendonly")).toContain("yes");
      await redis.stop();
      expect(await isListening(redis.port)).toBe(false);
    },
  );

  test("dies with a test process that is killed", async () => {
    const holder = spawnProcess({
      entry: fileURLToPath(new URL("./fixtures/start-and-wait.ts", import.meta.url)),
      args: ["redis"],
    });
    const [, port = ""] = await holder.waitForLine(/^started on (\d+)$/);
    expect(await isListening(Number(port))).toBe(true);
    await holder.kill9();
    await eventually("Redis is gone", async () => !(await isListening(Number(port))));
  });
});
