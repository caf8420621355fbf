import { bulkMessagesPage } from "@apiforge/example-bulk-messages-page";
import { clinic } from "@apiforge/example-clinic";
import { projects } from "@apiforge/example-projects";
import { ApiForgeError, createForge, runForge } from "apiforge";

import { connectProviders } from "./providers.ts";

/** Serves every example system until a signal stops it; says why when it cannot start. */
export async function serve(): Promise<void> {
  try {
    const providers = await connectProviders(process.env, sandboxPort());
    const forge = await createForge([
      projects(providers.slack),
      clinic({ messages: providers.messages, crm: providers.crm, alarms: providers.slack }),
      bulkMessagesPage(),
    ]);
    if (providers.sandboxUrl !== undefined)
      console.log(`Sandbox providers on ${providers.sandboxUrl}`);
    await runForge(forge);
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
