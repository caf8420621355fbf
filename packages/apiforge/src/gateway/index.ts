export { defineProxy, type ProxyOptions } from "./define-proxy.ts";
export { gatewayErrors } from "./errors.ts";
export { upstream, type Upstream, type UpstreamOptions } from "./upstream.ts";
