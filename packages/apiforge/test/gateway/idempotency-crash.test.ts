import { fileURLToPath } from "node:url";
import {
  createDeployment,
  createHttpClient,
  eventually,
  storeNames,
  type Deployment,
  type HttpResponse,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, test } from "vitest";

import { startRawUpstream } from "./gateway-harness.ts";

const entry = fileURLToPath(new URL("./servers/keyed-gateway.ts", import.meta.url));
const created = "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone";
const timeout = 90_000;
// On PostgreSQL another process is believed to be at work for 15 s after its last word.
const lapseMs = 40_000;

interface Scene extends AsyncDisposable {
  readonly deployment: Deployment;
  /** Keys of the requests that reached the upstream. */
  readonly asked: string[];
  /** Sends the one request, without waiting for what may never come. */
  begin(url: string): void;
  /** Sends it until it is not said to be under way any more. */
  settle(url: string): Promise<HttpResponse>;
}

async function createScene(
  store: (typeof storeNames)[number],
  options: { readonly answers: boolean; readonly keyed: boolean },
): Promise<Scene> {
  const asked: string[] = [];
  let answers = options.answers;
  const behind = await startRawUpstream((socket, request) => {
    asked.push(/^idempotency-key: (.*)\r$/im.exec(request)?.[1] ?? "");
    if (answers) socket.write(created);
    answers = true;
  });
  const env = { UPSTREAM_URL: behind.url, KEYED: options.keyed ? "1" : "" };
  const deployment = await createDeployment({ store, postgresUrl: postgresUrl(), entry, env });
  const token = await deployment.token({ sub: "usr_1" });
  async function send(url: string): Promise<HttpResponse> {
    await using client = createHttpClient(url);
    const headers = { "idempotency-key": "payment-1" };
    const body = { cents: 1 };
    return await client.request({ method: "POST", path: "/payments", token, headers, body });
  }
  return {
    deployment,
    asked,
    begin: (url) => void send(url).catch(() => undefined),
    async settle(url) {
      let answer: HttpResponse | undefined;
      await eventually(
        "it is not under way",
        async () => {
          answer = await send(url);
          return answer.status !== 409;
        },
        lapseMs,
      );
      if (answer === undefined) throw new Error("Nothing was answered");
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await deployment[Symbol.asyncDispose]();
      await behind.close();
    },
  };
}

/** Kills the gateway while the upstream has the request; the URL of the next one. */
async function killWhileAsked({ deployment, asked, begin }: Scene): Promise<string> {
  const server = await deployment.start();
  begin(server.url);
  await eventually("the upstream was asked", () => asked.length === 1);
  await server.kill9();
  return (await deployment.start()).url;
}

/** Kills the gateway at a named point; what the next one answers. */
async function answerAfterKillAt(
  scene: Scene,
  point: "upstream-answered" | "upstream-recorded",
): Promise<HttpResponse> {
  const server = await scene.deployment.start({ pauseAt: { point } });
  scene.begin(server.url);
  await server.waitForPause();
  await server.kill9();
  return scene.settle((await scene.deployment.start()).url);
}

function codeOf(answer: HttpResponse): unknown {
  return (answer.json() as { error?: { code?: unknown } }).error?.code;
}

describe.concurrent.for(storeNames)("a gateway that is killed, %s", (store) => {
  test(
    "between request and answer says ever after that nobody knows, and asks no second time",
    { timeout },
    async ({ expect }) => {
      await using scene = await createScene(store, { answers: false, keyed: false });
      const url = await killWhileAsked(scene);
      for (const _ of ["at once", "and again"]) {
        const answer = await scene.settle(url);
        expect([answer.status, codeOf(answer)]).toEqual([502, "upstream_outcome_unknown"]);
      }
      expect(scene.asked.length).toBe(1);
    },
  );

  test(
    "between request and answer asks again with the same key where the upstream knows it",
    { timeout },
    async ({ expect }) => {
      await using scene = await createScene(store, { answers: false, keyed: true });
      const url = await killWhileAsked(scene);
      const answer = await scene.settle(url);
      expect([answer.status, answer.body]).toEqual([201, "done"]);
      expect((await scene.settle(url)).headers["idempotent-replayed"]).toBe("true");
      expect([scene.asked.length, new Set(scene.asked).size]).toEqual([2, 1]);
    },
  );

  test(
    "when the answer had come and was not recorded, says that nobody knows",
    { timeout },
    async ({ expect }) => {
      await using scene = await createScene(store, { answers: true, keyed: false });
      const answer = await answerAfterKillAt(scene, "upstream-answered");
      expect([answer.status, codeOf(answer)]).toEqual([502, "upstream_outcome_unknown"]);
      expect(scene.asked.length).toBe(1);
    },
  );

  test(
    "when the answer was recorded and had not left, repeats it",
    { timeout },
    async ({ expect }) => {
      await using scene = await createScene(store, { answers: true, keyed: false });
      const { status, body, headers } = await answerAfterKillAt(scene, "upstream-recorded");
      expect([status, body, headers["idempotent-replayed"]]).toEqual([201, "done", "true"]);
      expect(scene.asked.length).toBe(1);
    },
  );
});

test(
  "of two gateways on one database one asks the upstream, whoever is asked",
  { timeout },
  async ({ expect }) => {
    await using scene = await createScene("postgres", { answers: true, keyed: false });
    const { deployment, asked, settle } = scene;
    const [one, other] = await Promise.all([deployment.start(), deployment.start()]);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => settle(index % 2 === 0 ? one.url : other.url)),
    );
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(
      new Set(["201 done"]),
    );
    const fresh = answers.filter(({ headers }) => headers["idempotent-replayed"] === undefined);
    expect([fresh.length, asked.length]).toEqual([1, 1]);
  },
);
