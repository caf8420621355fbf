import {
  defineRoute,
  listQuery,
  newId,
  pageOf,
  type JobDefinition,
  type Principal,
} from "apiforge";
import { z } from "zod";

import { memberAdded, projectCreated, projectDeleted, projectUpdated } from "./events.ts";
import { insertMember } from "./members-table.ts";
import {
  deleteProject,
  insertProject,
  listProjects,
  requireProject,
  updateProject,
} from "./projects-table.ts";
import {
  memberReply,
  newMember,
  newProject,
  project,
  projectChange,
  projectReply,
} from "./schema.ts";
import type { slackAlertInput } from "./slack-alert.ts";

const tags = ["projects"];

/** The routes of the projects system; `slackAlert` is the job that they hand Slack's alerts to. */
export function projectRoutes(slackAlert: JobDefinition<typeof slackAlertInput>) {
  return [
    createRoute(slackAlert),
    listRoute,
    readRoute,
    changeRoute,
    deleteRoute,
    addMemberRoute(slackAlert),
  ];
}

function createRoute(slackAlert: JobDefinition<typeof slackAlertInput>) {
  return defineRoute({
    method: "POST",
    path: "/api/projects",
    summary: "Create a project",
    tags,
    body: newProject,
    replies: { 201: projectReply },
    handler: async ({ body, principal, tx }) => {
      const actor = nameOf(principal);
      const created = await insertProject(tx, {
        ...body,
        id: newId("proj"),
        tenant: principal.tenant,
        createdBy: principal.subject,
        ownerEmail: principal.email,
        nowMs: Date.now(),
      });
      tx.emit(projectCreated, { project: created, actor });
      await tx.enqueue(slackAlert, { event: "project.created", project: created, actor });
      return { status: 201, body: { success: true, data: created } };
    },
  });
}

const listRoute = defineRoute({
  method: "GET",
  path: "/api/projects",
  summary: "List projects, newest first",
  tags,
  query: listQuery({ status: z.string().max(40).optional() }),
  replies: { 200: pageOf(project) },
  handler: async ({ query, principal, tx, list }) => {
    const { status, limit } = query;
    const before = list.position<{ id: string }>()?.id;
    const rows = await listProjects(tx, principal.tenant, { status, before, limit: limit + 1 });
    return { status: 200, body: list.page(rows, limit, (last) => ({ id: last.id })) };
  },
});

const readRoute = defineRoute({
  method: "GET",
  path: "/api/projects/:id",
  summary: "Read a project",
  tags,
  replies: { 200: projectReply },
  handler: async ({ params, principal, tx }) => {
    const data = await requireProject(tx, principal.tenant, params.id);
    return { status: 200, body: { success: true, data } };
  },
});

const changeRoute = defineRoute({
  method: "PATCH",
  path: "/api/projects/:id",
  summary: "Change a project",
  tags,
  body: projectChange,
  replies: { 200: projectReply },
  handler: async ({ params, body, principal, tx }) => {
    const data = await updateProject(tx, principal.tenant, params.id, body, Date.now());
    tx.emit(projectUpdated, { project: data, actor: nameOf(principal) });
    return { status: 200, body: { success: true, data } };
  },
});

const deleteRoute = defineRoute({
  method: "DELETE",
  path: "/api/projects/:id",
  summary: "Delete a project with its members",
  tags,
  replies: { 204: null },
  handler: async ({ params, principal, tx }) => {
    await deleteProject(tx, principal.tenant, params.id);
    tx.emit(projectDeleted, { id: params.id, actor: nameOf(principal) });
    return { status: 204 };
  },
});

function addMemberRoute(slackAlert: JobDefinition<typeof slackAlertInput>) {
  return defineRoute({
    method: "POST",
    path: "/api/projects/:id/members",
    summary: "Add a member to a project",
    tags,
    body: newMember,
    replies: { 201: memberReply },
    handler: async ({ params, body, principal, tx }) => {
      const of = await requireProject(tx, principal.tenant, params.id);
      const actor = nameOf(principal);
      const member = await insertMember(tx, {
        ...body,
        id: newId("mem"),
        tenant: principal.tenant,
        projectId: of.id,
        addedBy: principal.subject,
        nowMs: Date.now(),
      });
      tx.emit(memberAdded, { member, actor });
      await tx.enqueue(slackAlert, { event: "member.added", project: of, member, actor });
      return { status: 201, body: { success: true, data: member } };
    },
  });
}

function nameOf(principal: Principal): string {
  return principal.email ?? principal.subject;
}
