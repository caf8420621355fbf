import type { FastifyReply } from "fastify";

import type { Answer } from "../durable/index.ts";
import type { Clock } from "../kernel/index.ts";
import type { AnswerQueue } from "./answer-queue.ts";
import { EdgeResponse } from "./edge-response.ts";
import type { Exchange } from "./exchange.ts";
import type { Outgoing } from "./outgoing.ts";
import { leaveAll, type RouteStages } from "./route-stages.ts";
import { streamBody } from "./stream-body.ts";

/** What answers are sent with. */
export interface SendServices {
  readonly clock: Clock;
  /** True once the server is going down. */
  readonly isClosing: () => boolean;
  readonly answers: AnswerQueue;
}

/** Sends `answer` through the stages' ways out. */
export function send(
  exchange: Exchange,
  stages: RouteStages,
  answer: Outgoing,
  services: SendServices,
): void {
  write(exchange, leaveAll(stages.leaves, exchange, answer), services);
}

/** Sends `leaving` as it is. */
export function write(exchange: Exchange, leaving: Outgoing, services: SendServices): void {
  const { answer, stream, selfWritten } = leaving;
  if (selfWritten !== undefined) {
    const { head, reply, lines } = exchange;
    const { raw } = reply.hijack();
    if (raw instanceof EdgeResponse) raw.lines = lines;
    selfWritten.write(raw, head, services.isClosing(), services.answers);
    return;
  }
  putHead(exchange, leaving, services);
  if (stream !== undefined) writeStream(exchange, answer.status, stream, services);
  else if (answer.body === "" || exchange.method === "HEAD") {
    const reply = headOf(exchange).code(answer.status);
    services.answers.add(() => void reply.send(answer.body === "" ? undefined : answer.body));
  } else writeBody(exchange, answer, services);
}

function putHead(
  exchange: Exchange,
  { answer, seq, isReplay }: Outgoing,
  { isClosing }: SendServices,
): void {
  const { route } = exchange;
  // What a principal may see is not for caches in between, unless the handler says otherwise.
  if (route !== undefined && route.auth !== "none") exchange.putHeader("cache-control", "no-store");
  for (const name in answer.headers) {
    exchange.putHeader(name.toLowerCase(), answer.headers[name] ?? "");
  }
  if (seq !== undefined) exchange.putHeader("x-forge-seq", String(seq));
  if (isReplay) exchange.putHeader("idempotent-replayed", "true");
  if (isClosing()) exchange.putHeader("connection", "close");
}

/** Past Fastify's reply, whose own steps (serializing, hooks, counting bytes) find nothing to do. */
function writeBody(exchange: Exchange, { status, body }: Answer, { answers }: SendServices) {
  const { head, reply } = exchange;
  const bytes = exchange.bytesOf(body);
  const { raw } = reply;
  head.push("content-length", String(bytes));
  try {
    if (raw instanceof EdgeResponse) raw.lines = exchange.lines;
    raw.writeHead(status, head);
  } catch (error) {
    // What a stage of the application has put there; the answer to that is not to fail by it again.
    head.length = 0;
    throw error;
  }
  // Text of ASCII is the same in Latin 1, which is copied as it is.
  const encoding = bytes === body.length ? "latin1" : "utf8";
  answers.add(() => void raw.end(body, encoding));
}

function writeStream(
  exchange: Exchange,
  status: number,
  { values, kind }: NonNullable<Outgoing["stream"]>,
  { clock, isClosing }: SendServices,
): void {
  const reply = headOf(exchange).code(status);
  // Its head has left before anybody knew that the server would stop meanwhile.
  reply.raw.once("finish", () => {
    if (isClosing()) exchange.request.raw.socket.end();
  });
  reply.send(streamBody(values, { ...kind, clock, log: exchange.log }));
}

/** Fastify's reply with the headers of the answer so far. */
export function headOf({ head, reply }: Exchange): FastifyReply {
  for (let index = 0; index < head.length; index += 2) {
    reply.header(head[index] ?? "", head[index + 1]);
  }
  return reply;
}
