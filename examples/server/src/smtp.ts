import { createSmtpMailer, type Mailer } from "@apiforge/example-public-api";
import { ApiForgeError } from "apiforge";

type Environment = Readonly<Record<string, string | undefined>>;

const defaultFrom = "Stations API <keys@apiforge.dev>";

/**
 * The mail server of the environment; undefined when it names none.
 * @throws {config_invalid} for a `SMTP_URL` that is none.
 */
export function readSmtp(environment: Environment): Mailer | undefined {
  const url = environment["SMTP_URL"] ?? "";
  if (url === "") return undefined;
  const protocol = URL.parse(url)?.protocol;
  if (protocol !== "smtp:" && protocol !== "smtps:") {
    // The value may carry a password.
    throw configInvalid("SMTP_URL: its value is no smtp:// or smtps:// address");
  }
  return createSmtpMailer({ url, from: senderOf(environment) });
}

/** The mail server of the sandbox at `sandboxUrl`, which has a port of its own, asked for with each mail. */
export function sandboxSmtp(environment: Environment, sandboxUrl: string): Mailer {
  return {
    // Not at the start: Node's fetch takes 2 MB of an idle server.
    async send(mail) {
      const answer = await fetch(`${sandboxUrl}/_sandbox/mail/address`);
      const { url } = (await answer.json()) as { readonly url: string };
      await createSmtpMailer({ url, from: senderOf(environment) }).send(mail);
    },
  };
}

function senderOf(environment: Environment): string {
  return environment["SMTP_FROM"] || defaultFrom;
}

function configInvalid(message: string): ApiForgeError {
  return new ApiForgeError(
    "config_invalid",
    { type: "api_error", status: 500, retryable: false },
    `${message}.`,
  );
}
