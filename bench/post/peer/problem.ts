import type { FastifyInstance, FastifyReply } from "fastify";

/** An answer that is an error of the caller's making. */
export class Problem extends Error {
  readonly status: number;
  readonly type: string;
  readonly code: string;

  constructor(status: number, type: string, code: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
    this.code = code;
  }
}

/** Answers every failure with one envelope; what was not expected becomes a 500 without details. */
export function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof Problem) return send(reply, request.id, error);
    const { statusCode = 500, message } = error instanceof Error ? asHttpError(error) : {};
    if (statusCode === 401) {
      reply.header("www-authenticate", "Bearer");
      return send(
        reply,
        request.id,
        new Problem(401, "authentication_error", "invalid_token", message ?? "Unauthorized"),
      );
    }
    if (statusCode >= 400 && statusCode < 500) {
      return send(
        reply,
        request.id,
        new Problem(
          statusCode,
          "invalid_request_error",
          "invalid_request",
          message ?? "Bad request",
        ),
      );
    }
    request.log.error(error);
    return send(
      reply,
      request.id,
      new Problem(500, "api_error", "internal_error", "Something went wrong."),
    );
  });
}

function asHttpError(error: Error & { statusCode?: number }) {
  return { statusCode: error.statusCode ?? 500, message: error.message };
}

function send(reply: FastifyReply, requestId: string, problem: Problem): FastifyReply {
  const { type, code, message } = problem;
  return reply.code(problem.status).send({ error: { type, code, message, requestId } });
}
