import { randomUUIDv7 } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Redis } from "ioredis";
import type { Alerts } from "./alerts.ts";
import type { Project, ProjectStore } from "./project-store.ts";
import { claimKey, type HeldKey } from "./idempotency.ts";
import { Problem } from "./problem.ts";

const bodySchema = {
  type: "object",
  required: ["name"],
  additionalProperties: false,
  properties: {
    name: { type: "string", minLength: 1, maxLength: 200 },
    status: { type: "string", enum: ["active", "paused", "archived"], default: "active" },
    description: { type: "string", maxLength: 5_000 },
  },
} as const;

const answerSchema = {
  type: "object",
  required: ["success", "data"],
  properties: {
    success: { type: "boolean" },
    data: {
      type: "object",
      required: ["id", "name", "status", "description", "createdBy", "createdAt"],
      properties: {
        id: { type: "string" },
        name: { type: "string" },
        status: { type: "string" },
        description: { type: ["string", "null"] },
        createdBy: { type: "string" },
        createdAt: { type: "string" },
      },
    },
  },
} as const;

interface NewProject {
  readonly name: string;
  readonly status: string;
  readonly description?: string;
}

/** What a request for a new project needs besides itself. */
export interface ProjectServices {
  readonly projects: ProjectStore;
  readonly alerts: Alerts;
  readonly redis: Redis;
}

/** Adds `POST /api/projects`. */
export function addProjectRoutes(app: FastifyInstance, services: ProjectServices): void {
  app.post<{ Body: NewProject }>(
    "/api/projects",
    {
      schema: { body: bodySchema, response: { 201: answerSchema } },
      onRequest: (request) => request.jwtVerify(),
    },
    (request, reply) => createProject(services, request, reply),
  );
}

async function createProject(
  services: ProjectServices,
  request: FastifyRequest<{ Body: NewProject }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { sub, tenant } = request.user;
  const key = idempotencyKey(request);
  const scope = `${tenant}:${sub}:POST:/api/projects`;
  const claim = await claimKey(services.redis, scope, key, request.body);
  if ("recorded" in claim) {
    reply.header("idempotent-replayed", "true");
    return sendJson(reply, claim.recorded.status, claim.recorded.body);
  }
  const body = await writeProject(services, request, reply, claim.held);
  return sendJson(reply, 201, body);
}

async function writeProject(
  services: ProjectServices,
  request: FastifyRequest<{ Body: NewProject }>,
  reply: FastifyReply,
  held: HeldKey,
): Promise<string> {
  const { sub, tenant } = request.user;
  const project: Project = {
    id: `proj_${randomUUIDv7()}`,
    name: request.body.name,
    status: request.body.status,
    description: request.body.description ?? null,
    createdBy: sub,
    createdAt: new Date().toISOString(),
  };
  try {
    await services.projects.insert(tenant, project, request.id);
    await services.alerts.add(project, sub);
    const body = reply.code(201).serialize({ success: true, data: project });
    if (typeof body !== "string") throw new TypeError("A JSON schema serializes to text.");
    await held.record(201, body);
    return body;
  } catch (error) {
    await held.release();
    throw error;
  }
}

function idempotencyKey(request: FastifyRequest): string {
  const key = request.headers["idempotency-key"];
  if (typeof key === "string" && key.length > 0 && key.length <= 255) return key;
  throw new Problem(
    400,
    "idempotency_error",
    "idempotency_key_required",
    "Send an Idempotency-Key of 1 to 255 characters.",
  );
}

function sendJson(reply: FastifyReply, status: number, body: string): FastifyReply {
  return reply.code(status).type("application/json; charset=utf-8").send(body);
}
