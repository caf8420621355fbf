import { ApiForgeError, createForge, runForge } from "apiforge";

import { connectProviders } from "./providers.ts";
import { collectStartGarbage } from "./start-garbage.ts";
import { exampleSystems } from "./systems.ts";

const api = {
  title: "APIForge examples",
  version: "1.0.0",
  description:
    "Every example system, served by one process. `npm run token` makes a token for them.",
};

/** Serves every example system until a signal stops it; says why when it cannot start. */
export async function serve(): Promise<void> {
  try {
    const providers = await connectProviders(process.env, sandboxPort());
    const own = Promise.withResolvers<string>();
    const forge = await createForge(exampleSystems(providers, own.promise), { api });
    if (providers.sandboxUrl !== undefined)
      console.log(`Sandbox providers on ${providers.sandboxUrl}`);
    collectStartGarbage();
    const { url } = await runForge(forge);
    own.resolve(url);
  } catch (error) {
    if (!ApiForgeError.is(error)) throw error;
    console.error(`APIForge cannot start: ${error.message} (${error.code})`);
    process.exit(1);
  }
}

/** `SANDBOX_PORT`; by default any free one. */
function sandboxPort(): number {
  return Number(process.env["SANDBOX_PORT"] ?? 0);
}
