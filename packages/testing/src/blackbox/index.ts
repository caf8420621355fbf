export { runChecks, type Check, type Outcome } from "./check.ts";
export { gateway, gatewayChecks, type GatewayInput } from "./gateway.ts";
