import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import type { AddressInfo } from "node:net";
import PostalMime from "postal-mime";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { jsonAnswer } from "../exchange.ts";
import { createFaultSwitch } from "../faults.ts";
import type { Provider } from "../provider.ts";
import { createMailbox } from "./mailbox.ts";
import { viewMails } from "./view.ts";

/** What can go wrong: a refusal that may pass (451), one that stays (550), and a broken connection. */
const mailFaults = ["none", "451", "550", "dead"] as const;

const maxMailBytes = 10_485_760;

/** A mail server that keeps what it is sent and delivers nothing, at any free port of `host`. */
export async function createMail(host: string, now: () => number): Promise<Provider> {
  const faults = createFaultSwitch(mailFaults);
  const mailbox = createMailbox();

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
    const content = await PostalMime.parse(await buffer(stream));
    const { kind } = faults.next();
    const accepted = kind === "none" && !stream.sizeExceeded;
    mailbox.add({
      receivedAt: new Date(now()).toISOString(),
      from: session.envelope.mailFrom === false ? "" : session.envelope.mailFrom.address,
      to: session.envelope.rcptTo.map(({ address }) => address),
      subject: content.subject ?? "",
      text: content.text ?? "",
      messageId: content.messageId ?? "",
      accepted,
    });
    if (accepted) return;
    if (kind === "dead") throw new BrokenConnection();
    if (stream.sizeExceeded) throw refusal(552, "Too large");
    throw kind === "451" ? refusal(451, "Try again later") : refusal(550, "Not taken");
  }

  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    size: maxMailBytes,
    logger: false,
    // Of a connection that is open when the sandbox stops.
    closeTimeout: 1,
    onData(stream, session, answered) {
      receive(stream, session).then(
        () => answered(null),
        (error: unknown) => {
          if (error instanceof BrokenConnection) breakConnections(server);
          else answered(error instanceof Error ? error : new Error(String(error)));
        },
      );
    },
  });
  // A client that goes away is its own business.
  server.on("error", () => undefined);
  const listening = server.listen(0, host);
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;

  return {
    name: "mail",
    // Nothing of it comes by HTTP but the control API.
    owns: () => false,
    receive: () => ({ answer: jsonAnswer(404, {}), delayMs: 0, answered: () => undefined }),
    controls: {
      fault: faults.control,
      messages: { GET: () => ({ messages: mailbox.list() }), DELETE: () => mailbox.clear() },
      address: { GET: () => ({ url: `smtp://${host}:${port}` }) },
    },
    view: (origin) => viewMails(mailbox.list(), origin),
    stop: () => server.close(),
  };
}

class BrokenConnection extends Error {
  override readonly name = "BrokenConnection";
}

function breakConnections(server: SMTPServer): void {
  for (const connection of server.connections) connection.close();
}

function refusal(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode });
}
