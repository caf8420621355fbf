import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProgram, type Program } from "./program.ts";

/** A body that the upstream answers with. */
export interface Body {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Connections of the load: few for what fills them. */
  readonly connections: number;
}

const small = JSON.stringify({
  id: "42",
  name: "a product of the catalogue",
  price: { amount: 1999, currency: "EUR" },
  tags: ["paper", "office", "recycled"],
});

export const bodies: readonly Body[] = [
  { name: "small JSON", path: "/products/42", bytes: small.length, connections: 64 },
  { name: "100 KB", path: "/files/100k", bytes: 100_000, connections: 64 },
  { name: "10 MB", path: "/files/10m", bytes: 10_000_000, connections: 8 },
];

/** nginx that answers every {@link bodies} as fast as it can, files from the page cache. */
export async function startUpstream(folder: string, core: number): Promise<Program> {
  writeFileSync(join(folder, "100k"), Buffer.alloc(100_000, "a"));
  writeFileSync(join(folder, "10m"), Buffer.alloc(10_000_000, "a"));
  return startProgram(core, "upstream", folder, (port) => ({
    command: ["nginx", "-c", join(folder, "upstream.conf")],
    files: {
      "upstream.conf": nginxConfig(
        folder,
        "upstream",
        `server {
          listen 127.0.0.1:${port} backlog=1024;
          location /products/ { default_type application/json; return 200 '${small}'; }
          location /files/ { alias ${folder}/; default_type application/octet-stream; sendfile on; tcp_nopush on; }
        }`,
      ),
    },
  }));
}

/** One worker, nothing logged, connections kept for ever. */
export function nginxConfig(folder: string, name: string, servers: string): string {
  const own = join(folder, name);
  return `worker_processes 1; daemon off; pid ${own}.pid; error_log /dev/null;
    events { worker_connections 2048; }
    http {
      access_log off; keepalive_requests 100000000;
      client_body_temp_path ${own}-body; proxy_temp_path ${own}-proxy; fastcgi_temp_path ${own}-fastcgi;
      uwsgi_temp_path ${own}-uwsgi; scgi_temp_path ${own}-scgi;
      ${servers}
    }\n`;
}
