/*
 * Small writes and status reads at a steady rate, in a process of its own: in the one that sends
 * the batch they would wait for its event loop as well. Parent and probe talk by IPC.
 */
import { Agent, request } from "node:http";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

import type { ProbeCommand, ProbeReport } from "./probe-process.ts";

const agent = new Agent({ keepAlive: true });

function send(url: string, method: string, body: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      "content-type": "application/json",
      ...(method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {}),
    };
    const sent = request(url, { method, headers, agent }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Requests at a fixed rate whatever their answers take; latencies in milliseconds. */
class Steady {
  readonly #latencies: number[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  constructor(rate: number, expected: number, send: () => Promise<number>) {
    this.#timer = setInterval(() => {
      const startedAt = performance.now();
      const one = send()
        .then((status) => {
          if (status !== expected) throw new Error(`Answered with ${status}`);
          this.#latencies.push(performance.now() - startedAt);
        })
        .finally(() => this.#underWay.delete(one));
      this.#underWay.add(one);
    }, 1_000 / rate);
  }

  async stop(): Promise<number[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return this.#latencies;
  }
}

function begin({ url, batchId, writesPerSecond, readsPerSecond }: ProbeCommand) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const writes = new Steady(writesPerSecond, 202, () =>
    send(`${url}/notes`, "POST", JSON.stringify({ id: crypto.randomUUID() })),
  );
  const reads = new Steady(readsPerSecond, 200, () =>
    send(`${url}/messages/${batchId}/status`, "GET", undefined),
  );
  return async (): Promise<ProbeReport> => {
    const report = { writes: await writes.stop(), reads: await reads.stop() };
    // The histogram counts its own interval of 1 ms.
    return { ...report, ownDelayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - 1) };
  };
}

let stop: (() => Promise<ProbeReport>) | undefined;
process.on("message", (command: ProbeCommand | "stop") => {
  if (command === "stop") void stop?.().then((report) => process.send?.(report));
  else stop = begin(command);
});
process.send?.("ready");
