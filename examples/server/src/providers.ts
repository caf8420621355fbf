import { createSlackWebhook, type SlackWebhook } from "@apiforge/connector-slack";

import { startSandboxProcess } from "./sandbox-process.ts";

/** The providers that the example systems talk to: the real ones where they are configured. */
export interface Providers {
  readonly slack: SlackWebhook;
  /** Where the sandbox shows what it received; undefined when every provider is real. */
  readonly sandboxUrl: string | undefined;
  stop(): Promise<void>;
}

const sandboxWebhookPath = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";

/** Connects to the providers whose variables are set, and to a sandbox of this machine for the rest. */
export async function connectProviders(
  environment: NodeJS.ProcessEnv,
  sandboxPort: number,
): Promise<Providers> {
  const slackUrl = environment["SLACK_WEBHOOK_URL"];
  if (slackUrl !== undefined && slackUrl !== "") {
    return {
      slack: createSlackWebhook({ url: slackUrl }),
      sandboxUrl: undefined,
      stop: async () => undefined,
    };
  }
  const sandbox = await startSandboxProcess(sandboxPort);
  return {
    slack: createSlackWebhook({ url: `${sandbox.url}${sandboxWebhookPath}` }),
    sandboxUrl: sandbox.url,
    stop: () => sandbox.stop(),
  };
}
