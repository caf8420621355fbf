import { defineEvent } from "apiforge";

import { message } from "./schema.ts";

/** An app has posted a message to its workspace. */
export const messagePosted = defineEvent("slack.message_posted", message);
