import { defineConfig } from "apiforge";

export default defineConfig({
  api: { title: "Prices and reports", version: "1.0.0" },
  upstreams: {
    site: {
      endpoints: [process.env["SITE_URL"] || "http://127.0.0.1:8000"],
      timeouts: { headMs: 2_000 },
      retry: { attempts: 3, delayMs: 50 },
      health: { path: "/" },
    },
  },
  policies: {
    open: {
      auth: "none",
      limits: { perMinute: 60 },
      cors: { origins: ["https://shop.example.com"] },
    },
    staff: {
      roles: ["admin"],
      limits: { perMinute: 600 },
      request: { headers: { remove: ["authorization"] } },
      response: { headers: { set: { "x-content-type-options": "nosniff" }, remove: ["server"] } },
    },
  },
  routes: [
    {
      path: "/prices/:file",
      upstream: "site",
      methods: ["GET"],
      policies: ["open"],
      params: {
        type: "object",
        properties: { file: { type: "string", pattern: "^[a-z]{3}\\.json$" } },
        required: ["file"],
      },
      summary: "Prices in one currency",
    },
    {
      path: "/reports/*",
      upstream: "site",
      methods: ["GET"],
      policies: ["staff"],
      summary: "Reports, for administrators",
    },
  ],
});
