import { defineEvent } from "apiforge";

import { order } from "./schema.ts";

/** A user has ordered. */
export const orderPlaced = defineEvent("mobile.order_placed", order);
