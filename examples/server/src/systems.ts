import { bulkMessages } from "@apiforge/example-bulk-messages";
import { bulkMessagesPage } from "@apiforge/example-bulk-messages-page";
import { clinic } from "@apiforge/example-clinic";
import { mobile } from "@apiforge/example-mobile";
import { openBanking, type OpenBankingPorts } from "@apiforge/example-open-banking";
import { projects } from "@apiforge/example-projects";
import { publicApi } from "@apiforge/example-public-api";
import { slackTiers } from "@apiforge/example-slack-tiers";
import { storefront } from "@apiforge/example-storefront";
import { apiKeys, auditLog, type System, type Tokens } from "apiforge";

import type { Providers } from "./providers.ts";
import { reposFor } from "./repos.ts";
import type { TwilioSender } from "./twilio.ts";

/** What the example systems need of others. */
export interface SystemServices extends Omit<Providers, "sandboxUrl" | "stop"> {
  readonly tokens: Tokens;
  readonly bank: OpenBankingPorts;
}

/**
 * Every example system. Text messages are called back at `APIFORGE_PUBLIC_URL`, else at `ownUrl`,
 * the server's own, which is known once it listens.
 * @throws {config_invalid} for a `REPOS_DOCUMENTS` that is none.
 */
export function exampleSystems(
  services: SystemServices,
  ownUrl: Promise<string>,
): readonly System[] {
  const keys = apiKeys();
  return [
    projects(services.slack),
    clinic({ messages: services.messages, crm: services.crm, alarms: services.slack }),
    textMessages(services.twilio, ownUrl),
    bulkMessagesPage(),
    reposFor(process.env["REPOS_DOCUMENTS"] || undefined),
    slackTiers(),
    storefront(),
    mobile({ texts: services.messages, tokens: services.tokens }),
    publicApi({ mailer: services.mailer, keys }),
    openBanking(services.bank),
    keys,
    auditLog(),
  ];
}

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
