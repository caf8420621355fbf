import type { ReceivedRequest } from "../exchange.ts";
import { isRecord } from "../json-fields.ts";
import type { WebhookError } from "./errors.ts";

/** A message as it was posted: `text`, `blocks`, `attachments` and the rest of Slack's fields. */
export type Payload = Readonly<Record<string, unknown>>;

// Slack's limits per message: docs.slack.dev/reference/block-kit/blocks (50 blocks) and the
// webhook error too_many_attachments (100 attachments).
const maxBlocks = 50;
const maxAttachments = 100;

/** `T…/B…` of a webhook's path: what may be shown, as the last part is its secret. */
export function webhookName(path: string): string {
  return path.split("/").slice(2, 4).join("/");
}

/** What is wrong with a webhook's path `/services/T…/B…/<token>`. */
export function checkPath(path: string): WebhookError | undefined {
  const [, , team = "", service = "", token = "", ...rest] = path.split("/");
  if (!/^T[A-Z0-9]+$/.test(team)) return "no_team";
  if (!/^B[A-Z0-9]+$/.test(service)) return "no_service";
  return /^[A-Za-z0-9]+$/.test(token) && rest.length === 0 ? undefined : "invalid_token";
}

/** The message in a request's body: JSON, or a form whose field `payload` is JSON. */
export function readPayload(request: ReceivedRequest): Payload | undefined {
  const form = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
  const text = form === true ? new URLSearchParams(request.body).get("payload") : request.body;
  try {
    const payload: unknown = JSON.parse(text ?? "");
    return isRecord(payload) ? payload : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with a message. */
export function checkPayload({
  text,
  blocks = [],
  attachments = [],
}: Payload): WebhookError | undefined {
  if (text !== undefined && text !== null && typeof text !== "string") return "invalid_payload";
  if (!Array.isArray(blocks) || !Array.isArray(attachments)) return "invalid_payload";
  if (blocks.length > maxBlocks || !blocks.every(isBlock)) return "invalid_blocks";
  if (attachments.length > maxAttachments) return "too_many_attachments";
  const empty = !text && blocks.length === 0 && attachments.length === 0;
  return empty ? "no_text" : undefined;
}

function isBlock(value: unknown): boolean {
  return isRecord(value) && typeof value["type"] === "string" && value["type"] !== "";
}
