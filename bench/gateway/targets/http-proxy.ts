import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";
import { connections, readSettings } from "../settings.ts";

/** The proxy behind most middleware. */
const { port, upstream } = readSettings();
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const proxy = httpProxy.createProxyServer({ target: upstream, agent });
proxy.on("error", (_error, _request, response) => response.destroy());
createServer((request, response) => proxy.web(request, response)).listen(port, "127.0.0.1");
