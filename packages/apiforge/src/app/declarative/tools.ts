// What is loaded by those who serve or look at a configuration file, and by nobody else.
export { createGateway } from "./create-gateway.ts";
export { explainRequest } from "./explain.ts";
export { serveGateway } from "./gateway.ts";
export { readGatewayFile } from "./gateway-file.ts";
export { routeRows } from "./route-rows.ts";
export { followFile } from "./watch.ts";
