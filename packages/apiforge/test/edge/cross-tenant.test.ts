import { describe, expect, test } from "vitest";

import {
  crossTenantAccess,
  type CrossTenantAttempt,
  type Exchange,
  type Principal,
} from "../../src/edge/index.ts";
import { silentLog, type ApiForgeError } from "../../src/kernel/index.ts";
import { backoffDelayMs } from "../../src/resilience/index.ts";
import { Harness, type Node } from "../durable/harness.ts";
import { storeFixtures } from "../store/fixtures.ts";

const mallory = { subject: "usr_mallory", tenant: "ten_1", role: "member", scopes: [] };
const trudy = { ...mallory, subject: "usr_trudy" };
const foreign = { resource: "invoice inv_7", owner: "ten_owner" };

/** Alarms that are raised, as they come. */
function alarmed() {
  const raised: CrossTenantAttempt[] = [];
  const access = crossTenantAccess("alarm", async (attempt) => void raised.push(attempt));
  return { raised, access };
}

async function attempt(
  { durable }: Node,
  { refuse }: ReturnType<typeof alarmed>["access"],
  principal: Principal,
  id: string,
): Promise<ApiForgeError> {
  const { subject, tenant } = principal;
  const request = {
    id,
    log: silentLog,
    traceparent: undefined,
    certificate: undefined,
    signal: new AbortController().signal,
  } satisfies Pick<Exchange, "id" | "log" | "traceparent" | "certificate" | "signal">;
  return durable.transact("attempt", { tenant, requestId: id, subject }, (tx) =>
    refuse({ tx, principal, request }, foreign),
  );
}

describe.for(storeFixtures)("another tenant's door on $name", (fixture) => {
  test("is refused, written down and alarmed the first time", async () => {
    await using harness = await Harness.open(fixture);
    const { raised, access } = alarmed();
    const node = await harness.started({ jobs: [access.alarm] });
    const refusal = await attempt(node, access, mallory, "req_1");
    expect(refusal).toMatchObject({ status: 403, code: "forbidden", message: "Forbidden" });
    await harness.idle();
    const { resource } = foreign;
    const tried = { subject: "usr_mallory", tenant: "ten_1", resource };
    expect(raised).toEqual([{ ...tried, requestId: "req_1" }]);
    const [event] = await harness.store.events.read(0, 10);
    expect(event).toMatchObject({ type: "security.cross_tenant_access", tenant: "ten_1" });
    expect(JSON.parse(event?.data ?? "")).toEqual(tried);
  });

  test("writes down every attempt, and raises one alarm of each caller at a time", async () => {
    await using harness = await Harness.open(fixture);
    const { raised, access } = alarmed();
    const attacked = harness.node();
    for (let n = 0; n < 20; n += 1) {
      await attempt(attacked, access, mallory, `req_m${n}`);
      await attempt(attacked, access, trudy, `req_t${n}`);
    }
    const node = await harness.started({ jobs: [access.alarm] });
    expect(raised.map(({ requestId }) => requestId).toSorted()).toEqual(["req_m0", "req_t0"]);
    await attempt(node, access, mallory, "req_again");
    await harness.idle();
    expect(raised.at(-1)?.requestId).toBe("req_again");
    const { rows } = await harness.store.read("audit", (runner) =>
      runner.queryText("select action, subject, detail from forge_audit order by n", []),
    );
    expect(rows).toHaveLength(41);
    expect(rows[1]).toEqual({
      action: "cross_tenant_access",
      subject: "usr_trudy",
      detail: JSON.stringify({ resource: foreign.resource }),
    });
  });

  test("does not tell the caller's tenant whose it is", async () => {
    await using harness = await Harness.open(fixture);
    const { access } = alarmed();
    await attempt(harness.node(), access, mallory, "req_1");
    const kept = await harness.store.read("all", async (runner) => [
      await runner.queryText("select * from forge_audit", []),
      await runner.queryText("select * from forge_events", []),
      await runner.queryText("select payload from forge_jobs", []),
    ]);
    expect(JSON.stringify(kept)).toContain("inv_7");
    expect(JSON.stringify(kept)).not.toContain(foreign.owner);
  });
});

test("the alarm is raised for half a day at least, whatever its waits are drawn at", () => {
  const { alarm } = alarmed().access;
  let sumMs = 0;
  for (let failures = 1; failures < alarm.attempts; failures++) {
    sumMs += backoffDelayMs(alarm.backoff, failures, () => 0);
  }
  expect(sumMs).toBeGreaterThanOrEqual(12 * 3_600_000);
});
