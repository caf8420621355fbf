import type {
  Deployment,
  DeploymentOptions,
  HttpRequest,
  HttpResponse,
  RawRow,
  StoreName,
} from "@apiforge/testing";
import type { ScenarioRun } from "@apiforge/testing/scenario";
import { serveDuringTests } from "@apiforge/testing/served";
import { expect } from "vitest";

/** Who a request comes from. */
const agents = {
  /** Scheduling agent of practice_p001. */
  sarah: { sub: "user_sarah", tenant: "practice_p001", role: "scheduling_agent" },
  /** Scheduling agent of practice_p002. */
  omar: { sub: "user_omar", tenant: "practice_p002", role: "scheduling_agent" },
  /** Of practice_p001, with a role that books nothing. */
  admin: { sub: "user_admin", tenant: "practice_p001", role: "admin" },
} as const;
export type AgentName = keyof typeof agents;

/** A confirmed appointment as the API answers it. */
export interface Booked {
  readonly appointmentId: string;
  readonly status: string;
  readonly date: string;
  readonly time: string;
  readonly type: string;
}

/** A request of one of the agents, `sarah` when it does not say. */
export type StageRequest = Omit<HttpRequest, "token"> & { readonly as?: AgentName };

/** A request at an endpoint of the sandbox. */
export interface InboxDelivery {
  readonly body: Readonly<Record<string, unknown>>;
  readonly accepted: boolean;
  readonly repeated: boolean;
}

/** The real server with the clinic on a new store. */
export interface Stage extends ScenarioRun {
  readonly store: StoreName;
  readonly deployment: () => Deployment;
  /** What the server has logged. */
  log(): string;
  send(request: StageRequest): Promise<HttpResponse>;
  /** Books a slot, whatever comes of it. */
  book(slotId: string, options?: BookOptions): Promise<HttpResponse>;
  /** Books a slot, which must succeed. */
  mustBook(slotId: string, options?: BookOptions): Promise<Booked>;
  /** The rows of a tenant table, of every practice. */
  rowsOf(table: string): Promise<readonly RawRow[]>;
  /** The audit log, of every practice. */
  audit(): Promise<readonly RawRow[]>;
  /** What arrived at an endpoint of the sandbox. */
  inbox(name: "sms" | "crm"): Promise<readonly InboxDelivery[]>;
  setFault(name: "sms" | "crm", fault: object | undefined): Promise<void>;
  readonly storedRows: () => Promise<Readonly<Record<string, number>>>;
}

/** What differs from a booking of `pat_789` by sarah under a key of its own. */
export interface BookOptions {
  readonly as?: AgentName;
  readonly key?: string;
  readonly patientId?: string;
  readonly type?: string;
}

/** The table behind a tenant table: SQLite has a view in its place, which other programs cannot read. */
export function tableOf(store: StoreName, name: string): string {
  return store === "sqlite" ? `${name}_of_all_tenants` : name;
}

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function clinicStage(
  store: StoreName,
  options: Pick<DeploymentOptions, "entry" | "env"> = {},
): Stage {
  const { deployment, server, client, providers } = serveDuringTests(store, options);

  const token = (name: string): Promise<string> => deployment().token(agents[name as AgentName]);

  async function send({ as = "sarah", ...request }: StageRequest): Promise<HttpResponse> {
    return client().request({ ...request, token: await token(as) });
  }

  function book(slotId: string, booking: BookOptions = {}): Promise<HttpResponse> {
    const { as = "sarah", patientId = "pat_789", type = "comprehensive_exam" } = booking;
    const { key = `${as} books ${slotId}`.replaceAll(" ", "-") } = booking;
    return send({
      method: "POST",
      path: "/appointments",
      as,
      headers: { "x-idempotency-key": key },
      body: { patientId, slotId, type },
    });
  }

  async function control(method: string, path: string, body?: object): Promise<HttpResponse> {
    return providers().request({ method, path, ...(body === undefined ? {} : { body }) });
  }

  return {
    store,
    client,
    deployment,
    log: () => server().stdout(),
    token,
    send,
    book,
    async mustBook(slotId, booking) {
      const response = await book(slotId, booking);
      expect(response.status, response.body).toBe(201);
      return response.json() as Booked;
    },
    rowsOf: (table) =>
      deployment().inspect((raw) => raw.all(`select * from ${tableOf(store, table)}`)),
    audit: () => deployment().inspect((raw) => raw.all("select * from forge_audit order by n")),
    async inbox(name) {
      const answer = await control("GET", `/_sandbox/${name}/messages`);
      return (answer.json() as { messages: InboxDelivery[] }).messages;
    },
    async setFault(name, fault) {
      await control(fault === undefined ? "DELETE" : "PUT", `/_sandbox/${name}/fault`, fault);
    },
    storedRows() {
      return deployment().inspect(async (raw) => {
        const [row] = await raw.all(countRows(store));
        return row as Record<string, number>;
      });
    },
  };
}

function countRows(store: StoreName): string {
  const tables = [
    ...["appointments", "appointment_slots"].map((name) => tableOf(store, name)),
    ...["forge_audit", "forge_idempotency", "forge_jobs", "forge_events"],
  ];
  const counts = tables.map((table) => `(select count(*) from ${table}) as ${table}`);
  return `select ${counts.join(", ")}`;
}
