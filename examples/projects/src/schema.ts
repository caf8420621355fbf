import { z } from "zod";

const name = z.string().trim().min(1).max(200);
const status = z.string().trim().min(1).max(40);
const description = z.string().max(10_000);
const role = z.enum(["admin", "member"]);

/** Body of `POST /api/projects`. */
export const newProject = z.object({
  name,
  status: status.default("active"),
  description: description.nullable().default(null),
});

/** Body of `PATCH /api/projects/:id`: at least one field. */
export const projectChange = z
  .object({ name, status, description: description.nullable() })
  .partial()
  .refine((change) => Object.keys(change).length > 0, "name at least one field to change");

/** Body of `POST /api/projects/:id/members`. */
export const newMember = z.object({ email: z.email().max(254), role: role.default("member") });

/** A project as clients see it. */
export const project = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  description: z.string().nullable(),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type Project = z.infer<typeof project>;

/** A member of a project as clients see it. */
export const member = z.object({
  id: z.string(),
  projectId: z.string(),
  email: z.string(),
  role,
  addedBy: z.string(),
  createdAt: z.iso.datetime(),
});
export type Member = z.infer<typeof member>;

/** Envelope of an answer about one thing. */
export const projectReply = z.object({ success: z.literal(true), data: project });
export const memberReply = z.object({ success: z.literal(true), data: member });
