import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { ProgramPlan } from "./program.ts";
import { nginxConfig } from "./upstream.ts";

/** Where a proxy listens, what it passes requests on to, and a folder that is its own. */
export interface Place {
  readonly port: number;
  /** `host:port`. */
  readonly upstream: string;
  readonly folder: string;
}

/** One way to put a proxy in front of the upstream. */
export type Contender = (place: Place) => ProgramPlan;

/** 64 connections to the upstream, kept open. */
const connections = 64;

/** By name; the first is what the others are compared with. */
export const contenders: ReadonlyMap<string, Contender> = new Map([
  ["nginx", nginx],
  ["haproxy", haproxy],
  ["caddy", caddy],
  ["undici-dispatch", node("undici-dispatch")],
  ["fastify-http-proxy", node("fastify-http-proxy")],
  ["http-proxy", node("http-proxy")],
  ["apiforge-bare", node("apiforge-bare")],
  ["apiforge-stages", node("apiforge-stages")],
]);

function nginx({ port, upstream, folder }: Place): ProgramPlan {
  const servers = `
    upstream behind { server ${upstream}; keepalive ${connections}; keepalive_requests 100000000; }
    server {
      listen 127.0.0.1:${port} backlog=1024;
      location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }`;
  return {
    command: ["nginx", "-c", join(folder, "nginx.conf")],
    files: { "nginx.conf": nginxConfig(folder, "nginx", servers) },
  };
}

function haproxy({ port, upstream, folder }: Place): ProgramPlan {
  const config = `global
  nbthread 1
defaults
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:${port}
  default_backend behind
backend behind
  option forwardfor
  server one ${upstream} pool-max-conn ${connections}
`;
  return {
    command: ["haproxy", "-db", "-f", join(folder, "haproxy.cfg")],
    files: { "haproxy.cfg": config },
  };
}

function caddy({ port, upstream, folder }: Place): ProgramPlan {
  const config = `{
  admin off
  auto_https off
  log {
    output discard
  }
}
http://127.0.0.1:${port} {
  reverse_proxy ${upstream} {
    transport http {
      keepalive_idle_conns_per_host ${connections}
    }
  }
}
`;
  return {
    command: ["caddy", "run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")],
    files: { Caddyfile: config },
    environment: { GOMAXPROCS: "1", XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  };
}

/** targets/`name`.ts with this Node. */
function node(name: string): Contender {
  const entry = fileURLToPath(new URL(`targets/${name}.ts`, import.meta.url));
  return ({ port, upstream, folder }) => ({
    command: [process.execPath, "--conditions=@apiforge/source", entry],
    environment: {
      GATEWAY_PORT: String(port),
      GATEWAY_UPSTREAM: upstream,
      GATEWAY_FOLDER: folder,
    },
  });
}
