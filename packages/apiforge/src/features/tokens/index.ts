export type { NewClient, RegisteredClient } from "./clients.ts";
export { sessionEnded } from "./events.ts";
export type { TokensOptions } from "./options.ts";
export type { NewSession, SessionOwner } from "./sessions.ts";
export type { TokenAnswer, TokenReply } from "./token-endpoint.ts";
export type { TokenRequest } from "./token-request.ts";
export { Tokens, type StartedSession, type TokenServices } from "./tokens.ts";
export { tokenUpkeep } from "./upkeep.ts";
