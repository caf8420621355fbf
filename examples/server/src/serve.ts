import { publicApiPlans } from "@apiforge/example-public-api";
import { auditLogOf } from "@apiforge/example-open-banking";
import { ApiForgeError, createForge, readConfig, runForge, Tokens, type Forge } from "apiforge";

import { connectBank } from "./bank.ts";
import { connectProviders } from "./providers.ts";
import { collectStartGarbage } from "./start-garbage.ts";
import { exampleSystems } from "./systems.ts";

/** Whom the server's own tokens name as their issuer where it has no address that others know. */
const ownIssuer = "https://examples.apiforge.dev";

const api = {
  title: "APIForge examples",
  version: "1.0.0",
  description:
    "Every example system, served by one process. `npm run token` makes a token for them.",
};

/** Serves every example system until a signal stops it; says why when it cannot start. */
export async function serve(): Promise<void> {
  try {
    const own = Promise.withResolvers<string>();
    const { url } = await runForge(() => createExamples(own.promise));
    own.resolve(url);
  } catch (error) {
    if (!ApiForgeError.is(error)) throw error;
    console.error(`APIForge cannot start: ${error.message} (${error.code})`);
    process.exit(1);
  }
}

/** @param own where it is going to serve. */
async function createExamples(own: Promise<string>): Promise<Forge> {
  const providers = await connectProviders(process.env, sandboxPort());
  const { accounts, clientCaFile } = await connectBank(readConfig(), process.env);
  const durable = Promise.withResolvers<Forge["durable"]>();
  const bank = { accounts, record: auditLogOf(durable.promise) };
  const tokens = new Tokens({ issuer: process.env["APIFORGE_PUBLIC_URL"] || ownIssuer });
  const systems = exampleSystems({ ...providers, tokens, bank }, own);
  const forge = await createForge(systems, {
    config: { clientCaFile },
    tokens,
    api,
    limits: { plans: publicApiPlans, shown: true },
  });
  durable.resolve(forge.durable);
  if (providers.sandboxUrl !== undefined)
    console.log(`Sandbox providers on ${providers.sandboxUrl}`);
  collectStartGarbage();
  return forge;
}

/** `SANDBOX_PORT`; by default any free one. */
function sandboxPort(): number {
  return Number(process.env["SANDBOX_PORT"] ?? 0);
}
