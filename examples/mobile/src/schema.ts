import { z } from "zod";

/** Body of `POST /mobile/orders`. */
export const newOrder = z.object({
  dishId: z.string(),
  quantity: z.int().min(1).max(20).default(1),
  note: z.string().max(200).default(""),
});

/** An order as its user sees it. */
export const order = z.object({
  id: z.string(),
  /** Its name when it was ordered. */
  dish: z.string(),
  quantity: z.int(),
  totalCents: z.int(),
  note: z.string(),
  placedAt: z.iso.datetime(),
});
export type Order = z.infer<typeof order>;

/** What a user may say of himself. */
export const profile = z.object({ name: z.string().trim().max(80) });
export type Profile = z.infer<typeof profile>;

/** Something that the user is told. */
export const notice = z.object({ text: z.string(), createdAt: z.iso.datetime() });
export type Notice = z.infer<typeof notice>;

/** All that the first screen shows. */
export const home = z.object({
  profile,
  menu: z.array(z.object({ id: z.string(), name: z.string(), priceCents: z.int() })),
  /** The latest three. */
  orders: z.array(order),
  /** The latest three. */
  notices: z.array(notice),
});
