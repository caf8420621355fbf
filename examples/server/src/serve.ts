import { bulkMessages } from "@apiforge/example-bulk-messages";
import { bulkMessagesPage } from "@apiforge/example-bulk-messages-page";
import { clinic } from "@apiforge/example-clinic";
import { projects } from "@apiforge/example-projects";
import { ApiForgeError, createForge, runForge, type System } from "apiforge";

import { connectProviders } from "./providers.ts";
import { reposFor } from "./repos.ts";
import { collectStartGarbage } from "./start-garbage.ts";
import type { TwilioSender } from "./twilio.ts";

/** Serves every example system until a signal stops it; says why when it cannot start. */
export async function serve(): Promise<void> {
  try {
    const providers = await connectProviders(process.env, sandboxPort());
    const own = Promise.withResolvers<string>();
    const forge = await createForge([
      projects(providers.slack),
      clinic({ messages: providers.messages, crm: providers.crm, alarms: providers.slack }),
      textMessages(providers.twilio, own.promise),
      bulkMessagesPage(),
      reposFor(process.env["REPOS_DOCUMENTS"] || undefined),
    ]);
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

/** The bulk messages, called back at `APIFORGE_PUBLIC_URL`, else at this server's `ownUrl`. */
function textMessages(sender: TwilioSender, ownUrl: Promise<string>): System {
  const given = process.env["APIFORGE_PUBLIC_URL"] ?? "";
  const isReachable = sender.isLocal || given !== "";
  async function webhookUrl(): Promise<string> {
    const origin = given === "" ? await ownUrl : given.replace(/\/+$/, "");
    return `${origin}/webhooks/twilio/status`;
  }
  return bulkMessages({
    ...sender,
    webhookUrl,
    callbackUrl: async () => (isReachable ? webhookUrl() : undefined),
    warn: (text) => console.warn(text),
  });
}

/** `SANDBOX_PORT`; by default any free one. */
function sandboxPort(): number {
  return Number(process.env["SANDBOX_PORT"] ?? 0);
}
