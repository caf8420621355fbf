import type { Clock } from "../kernel/index.ts";
import type { AnswerQueue } from "./answer-queue.ts";
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
  const { reply, route } = exchange;
  const { answer, seq, isReplay, stream, selfWritten } = leaving;
  if (selfWritten !== undefined) {
    reply.hijack();
    selfWritten.write(reply.raw, reply.getHeaders(), services.isClosing());
    return;
  }
  reply.code(answer.status);
  // What a principal may see is not for caches in between, unless the handler says otherwise.
  if (route !== undefined && route.auth !== "none") reply.header("cache-control", "no-store");
  for (const name in answer.headers) reply.header(name, answer.headers[name]);
  if (seq !== undefined) reply.header("x-forge-seq", String(seq));
  if (isReplay) reply.header("idempotent-replayed", "true");
  if (services.isClosing()) reply.header("connection", "close");
  if (stream === undefined) {
    services.answers.add(() => void reply.send(answer.body === "" ? undefined : answer.body));
    return;
  }
  // Its head has left before anybody knew that the server would stop meanwhile.
  reply.raw.once("finish", () => {
    if (services.isClosing()) exchange.request.raw.socket.end();
  });
  const { clock } = services;
  reply.send(streamBody(stream.values, { ...stream.kind, clock, log: exchange.log }));
}
