import { nonRetriable } from "apiforge";

/** A mail of plain text. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  /** Equal for every attempt to send it: who gets it twice can tell. */
  readonly messageId: string;
}

/** Sends mail. */
export interface Mailer {
  /** @throws when the server did not take it; an error that no attempt can mend is not retried. */
  send(mail: Mail): Promise<void>;
}

/** Where mail is sent through. */
export interface SmtpOptions {
  /** `smtp://…` or `smtps://…`, with user and password where it needs them. */
  readonly url: string;
  /** The sender's address. */
  readonly from: string;
}

const timeoutMs = 10_000;
// RFC 5321 section 4.2.1: codes from 500 on say that the same mail will not be taken later either.
const permanentFailure = 500;

/** Sends mail by SMTP, a connection for each. */
export function createSmtpMailer({ url, from }: SmtpOptions): Mailer {
  return {
    async send(mail) {
      // With the first mail, not at the start: most runs of the server send none.
      const { createTransport } = await import("nodemailer");
      const transport = createTransport({
        url,
        connectionTimeout: timeoutMs,
        greetingTimeout: timeoutMs,
        socketTimeout: timeoutMs,
      });
      try {
        await transport.sendMail({ ...mail, from });
      } catch (error) {
        throw isPermanent(error) ? nonRetriable("The mail was refused for good") : error;
      }
    },
  };
}

function isPermanent(error: unknown): boolean {
  const code = error instanceof Error && "responseCode" in error ? error.responseCode : undefined;
  return typeof code === "number" && code >= permanentFailure;
}
