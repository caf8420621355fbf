import { fileURLToPath } from "node:url";
import { createHttpClient } from "../http-client.ts";
import { spawnProcess } from "./server-process.ts";

/** A request that the sandbox received at a Slack webhook. */
export interface SlackDelivery {
  readonly id: number;
  /** ISO 8601. */
  readonly receivedAt: string;
  /** The message as it was posted. */
  readonly body: unknown;
  /** Status that was answered; null until then. */
  readonly status: number | null;
  /** True when a person would see it in the channel. */
  readonly posted: boolean;
}

/** What the sandbox does to Slack's next requests; see the sandbox's control API. */
export interface SlackFault {
  readonly kind: "500" | "503" | "429" | "slow" | "dead" | "channel_is_archived";
  readonly retryAfterSeconds?: number;
  readonly delayMs?: number;
  /** Requests that it applies to; default all until it is cleared. */
  readonly times?: number;
}

/** The sandbox providers as a process of their own, which outlives the servers that talk to it. */
export interface SandboxProcess extends AsyncDisposable {
  readonly url: string;
  /** For `SLACK_WEBHOOK_URL`. */
  readonly slackWebhookUrl: string;
  /** For `SMTP_URL`. */
  readonly smtpUrl: string;
  /** The variables of its Twilio account, with limits that no test meets by accident. */
  readonly twilioEnv: Readonly<Record<string, string>>;
  /**
   * What was received since the last {@link clearSlack}, in order.
   * @throws Error when the sandbox may have dropped some: it keeps 500.
   */
  slackDeliveries(): Promise<readonly SlackDelivery[]>;
  clearSlack(): Promise<void>;
  setSlackFault(fault: SlackFault): Promise<void>;
  clearSlackFault(): Promise<void>;
  /** Uses the sandbox's control API of Twilio: `fault`, `callbacks`, `messages` … */
  controlTwilio(
    method: "GET" | "PUT" | "DELETE",
    resource: string,
    body?: unknown,
  ): Promise<unknown>;
  stop(): Promise<void>;
}

const program = fileURLToPath(new URL("../../../sandbox/src/main.ts", import.meta.url));
const webhookPath = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";
const keptMessages = 500;

/** Starts a sandbox on a free port. It dies with this process. */
export async function startSandboxProcess(): Promise<SandboxProcess> {
  const child = spawnProcess({ entry: program, args: ["--port", "0"] });
  const [, url = ""] = await child.waitForLine(/^Sandbox ready on (\S+)/);
  const client = createHttpClient(url);

  async function control(method: string, resource: string, body?: unknown): Promise<unknown> {
    return controlOf("slack", method, resource, body);
  }

  async function controlOf(
    provider: string,
    method: string,
    resource: string,
    body?: unknown,
  ): Promise<unknown> {
    const path = `/_sandbox/${provider}/${resource}`;
    const answer = await client.request({ method, path, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.body}`);
    return answer.body === "" ? undefined : answer.json();
  }

  const { url: smtpUrl } = (await controlOf("mail", "GET", "address")) as { url: string };

  async function stop(): Promise<void> {
    await client.close();
    await child.kill9();
  }

  return {
    url,
    smtpUrl,
    slackWebhookUrl: `${url}${webhookPath}`,
    twilioEnv: {
      TWILIO_ACCOUNT_SID: `AC${"0".repeat(32)}`,
      TWILIO_AUTH_TOKEN: "0".repeat(32),
      TWILIO_PHONE_NUMBER: "+15005550006",
      TWILIO_BASE_URL: url,
      TWILIO_MESSAGES_PER_SECOND: "1000",
      TWILIO_SPENDING_CAP_USD: "100000",
      TWILIO_PRICES_USD: "+=0.0083",
    },
    async slackDeliveries() {
      const { messages } = (await control("GET", "messages")) as { messages: SlackDelivery[] };
      if (messages.length >= keptMessages) {
        throw new Error("The sandbox has dropped messages; collect and clear them more often");
      }
      return messages;
    },
    async clearSlack() {
      await control("DELETE", "messages");
    },
    async setSlackFault(fault) {
      await control("PUT", "fault", fault);
    },
    async clearSlackFault() {
      await control("DELETE", "fault");
    },
    controlTwilio: (method, resource, body) => controlOf("twilio", method, resource, body),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
