import { describe } from "vitest";
import { auditContract } from "./audit.ts";
import { batchesContract } from "./batches.ts";
import { consumersContract } from "./consumers.ts";
import { eventsContract } from "./events.ts";
import { figuresContract } from "./figures.ts";
import type { StoreFixture } from "./fixture.ts";
import { idempotencyContract } from "./idempotency.ts";
import { jobsContract } from "./jobs.ts";
import { kindsContract } from "./kinds.ts";
import { lanesContract } from "./lanes.ts";
import { migrationsContract } from "./migrations.ts";
import { quotasContract } from "./quotas.ts";
import { ratesContract } from "./rates.ts";
import { schedulesContract } from "./schedules.ts";
import { shutdownContract } from "./shutdown.ts";
import { tenantsContract } from "./tenants.ts";
import { transactionsContract } from "./transactions.ts";
import { upstreamCallsContract } from "./upstream-calls.ts";
import { userSqlContract } from "./user-sql.ts";
import { workersContract } from "./workers.ts";

/** Registers the tests of everything that the store contract promises, topic by topic. */
export function storeContract(fixture: StoreFixture): void {
  describe(`store contract on ${fixture.name}`, () => {
    describe("transactions", () => {
      transactionsContract(fixture);
    });
    describe("user SQL", () => {
      userSqlContract(fixture);
    });
    describe("tenant tables", () => {
      tenantsContract(fixture);
    });
    describe("idempotency", () => {
      idempotencyContract(fixture);
    });
    describe("events", () => {
      eventsContract(fixture);
    });
    describe("audit log", () => {
      auditContract(fixture);
    });
    describe("jobs", () => {
      jobsContract(fixture);
    });
    describe("kinds of jobs", () => {
      kindsContract(fixture);
    });
    describe("lanes", () => {
      lanesContract(fixture);
    });
    describe("workers", () => {
      workersContract(fixture);
    });
    describe("consumers", () => {
      consumersContract(fixture);
    });
    describe("batches", () => {
      batchesContract(fixture);
    });
    describe("rates", () => {
      ratesContract(fixture);
    });
    describe("quotas", () => {
      quotasContract(fixture);
    });
    describe("upstream calls", () => {
      upstreamCallsContract(fixture);
    });
    describe("schedules", () => {
      schedulesContract(fixture);
    });
    figuresContract(fixture);
    describe("migrations", () => {
      migrationsContract(fixture);
    });
    describe("shutdown", () => {
      shutdownContract(fixture);
    });
  });
}
