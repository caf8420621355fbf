export { twilioConnector } from "./connector.ts";
export { deliveryError, mayHaveBeenSent, twilioErrors, type TwilioErrorCode } from "./errors.ts";
export {
  createTwilioMessaging,
  type TextMessage,
  type TwilioCallOptions,
  type TwilioMessage,
  type TwilioMessaging,
} from "./messaging.ts";
export type { TwilioOptions } from "./options.ts";
export type { Price } from "./price.ts";
export { countSegments } from "./segments.ts";
export { isSignedByTwilio, type SignedCallback } from "./signature.ts";
