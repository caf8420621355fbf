const maxMails = 500;

/** A mail that arrived, whether it was taken or not. */
export interface Mail {
  readonly id: number;
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly from: string;
  /** Of the envelope: whom it was delivered to. */
  readonly to: readonly string[];
  readonly subject: string;
  /** Its plain text. */
  readonly text: string;
  /** As the sender named it; empty for none. */
  readonly messageId: string;
  readonly accepted: boolean;
  /** True when one of its `Message-ID` was accepted before: a person sees two. */
  readonly repeated: boolean;
}

/** The latest mails, in the order of arrival; the oldest go when there are too many. */
export interface Mailbox {
  add(mail: Omit<Mail, "id" | "repeated">): void;
  list(): readonly Mail[];
  clear(): void;
}

/** An empty mailbox of at most 500 mails. */
export function createMailbox(): Mailbox {
  let mails: Mail[] = [];
  let lastId = 0;
  return {
    add(mail) {
      const { messageId } = mail;
      const repeated =
        messageId !== "" && mails.some((one) => one.accepted && one.messageId === messageId);
      mails.push({ id: ++lastId, ...mail, repeated });
      if (mails.length > maxMails) mails.shift();
    },
    list: () => mails,
    clear() {
      mails = [];
    },
  };
}
