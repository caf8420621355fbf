import { ManualClock } from "@apiforge/testing";

import { ClientCertificates, type EdgeOptions, type Route } from "../../../src/edge/index.ts";
import { Authority, type Credentials } from "@apiforge/testing/certificates";
import { startHarness, type Harness } from "../edge-harness.ts";

/** An edge on a real port that speaks TLS. */
export interface TlsHarness extends Omit<Harness, "clock"> {
  readonly clock: ManualClock;
  readonly port: number;
  readonly root: Authority;
  readonly certificates: ClientCertificates;
  readonly credentials: Credentials;
  [Symbol.asyncDispose](): Promise<void>;
}

let shared: Promise<{ root: Authority; credentials: Credentials }> | undefined;

async function identity(): Promise<{ root: Authority; credentials: Credentials }> {
  const root = await Authority.create("Root");
  return { root, credentials: await root.issue("server", { usage: "server" }) };
}

export async function startTls(
  routes: readonly Route[],
  options: Partial<EdgeOptions> = {},
): Promise<TlsHarness> {
  shared ??= identity();
  const { root, credentials } = await shared;
  const clock = new ManualClock(Date.now());
  const certificates = new ClientCertificates({ ca: root.cert, clock });
  const tls = { key: credentials.key, cert: credentials.cert };
  const harness = await startHarness(routes, { clock, tls, certificates, ...options });
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  const port = Number(new URL(url).port);
  return {
    ...harness,
    clock,
    port,
    root,
    certificates,
    credentials,
    [Symbol.asyncDispose]: () => harness.stop(),
  };
}
