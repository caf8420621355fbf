import type { ConnectorInfo } from "apiforge/resilience";

/** Twilio, by its messages. */
export const twilioConnector: ConnectorInfo = {
  name: "twilio",
  title: "Twilio",
  sdk: "twilio",
  settings: [
    {
      name: "TWILIO_ACCOUNT_SID",
      description: "Account SID (AC…), from the console's page Account Info",
      secret: false,
    },
    {
      name: "TWILIO_AUTH_TOKEN",
      description: "Auth token, from the same page; it also signs the status callbacks",
      secret: true,
    },
    {
      name: "TWILIO_PHONE_NUMBER",
      description: "A phone number of the account that can send messages, in E.164",
      secret: false,
    },
  ],
  deduplicates: false,
};
