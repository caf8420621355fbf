import { createServer } from "node:http";
import { productOf } from "../product.ts";
import { announceServer } from "../settings.ts";

/**
 * The floor: `node:http` with the head and body that ours answers, and nothing else done; no router,
 * no stage, no look at the request. Less than this no stage can make of ours.
 */
const head = [
  ...["x-request-id", "req_0000000000000000000000"],
  ...["ratelimit-policy", '"bench";q=1000000000;w=60'],
  ...["ratelimit", '"bench";r=999999999;t=60'],
  ...["x-rate-limit-limit", "1000000000"],
  ...["x-rate-limit-remaining", "999999999"],
  ...["x-rate-limit-reset", "1795939744"],
  ...["access-control-allow-origin", "https://shop.example.com"],
  ...[
    "access-control-expose-headers",
    "Deprecation, ETag, Idempotent-Replayed, Link, RateLimit, RateLimit-Policy, Retry-After, Sunset, X-Forge-Seq, X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Reset, X-Request-Id",
  ],
  ...["vary", "Origin"],
  ...["cache-control", "no-store"],
  ...["content-type", "application/json; charset=utf-8"],
];
const server = createServer(
  { optimizeEmptyRequests: true, keepAliveTimeout: 72_000 },
  (_request, response) => {
    const body = JSON.stringify(productOf("42", "full"));
    response.writeHead(200, [...head, "content-length", String(Buffer.byteLength(body))]);
    response.end(body, "latin1");
  },
);
await announceServer(server.listen(0, "127.0.0.1"));
