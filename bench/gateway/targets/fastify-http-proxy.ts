import proxy from "@fastify/http-proxy";
import Fastify from "fastify";
import { connections, readSettings } from "../settings.ts";

/** The proxy of Fastify with nothing else. */
const { port, upstream } = readSettings();
const app = Fastify();
app.register(proxy, { upstream, undici: { connections, pipelining: 1 } });
await app.listen({ port, host: "127.0.0.1" });
