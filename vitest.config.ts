import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

const sourceCondition = "@apiforge/source";

export default defineConfig({
  // Packages of this tree load from their sources, in files that vitest transforms...
  ssr: {
    resolve: {
      conditions: [sourceCondition, "node"],
      externalConditions: [sourceCondition, "node"],
    },
  },
  test: {
    include: [
      "packages/*/test/**/*.test.ts",
      "examples/*/test/**/*.test.ts",
      "bench/test/**/*.test.ts",
      "test/**/*.test.ts",
    ],
    // Starts PostgreSQL for the whole run, or takes the one that APIFORGE_TEST_PG_URL names.
    globalSetup: "packages/testing/src/global-setup.ts",
    pool: "forks",
    // ...and in those that Node loads by itself.
    execArgv: [`--conditions=${sourceCondition}`],
    // Most tests wait for disks, sockets and child processes: two at once even on one core.
    maxWorkers: Math.max(2, availableParallelism()),
    // Generous, because a slow machine is no bug; a test that needs them waits for a lost event.
    testTimeout: 90_000,
    // By default 1 s.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 90_000,
    teardownTimeout: 30_000,
    restoreMocks: true,
    unstubEnvs: true,
    allowOnly: false,
  },
});
