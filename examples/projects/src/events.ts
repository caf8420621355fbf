import { defineEvent } from "apiforge";
import { z } from "zod";

import { member, project } from "./schema.ts";

const actor = z.string();

export const projectCreated = defineEvent("project.created", z.object({ project, actor }));
export const projectUpdated = defineEvent("project.updated", z.object({ project, actor }));
export const projectDeleted = defineEvent("project.deleted", z.object({ id: z.string(), actor }));
export const memberAdded = defineEvent("member.added", z.object({ member, actor }));
