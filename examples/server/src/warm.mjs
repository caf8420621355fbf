/*
 * Run once after an install: starts the server on an empty folder and stops it, so that the first
 * real start finds the cache as full as every later one.
 */
// oxlint-disable-next-line import/no-unassigned-import -- it acts by being loaded, before everything else
import "./compile-cache.mjs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const dataDir = mkdtempSync(join(tmpdir(), "apiforge-warm-"));
process.on("exit", () => rmSync(dataDir, { recursive: true, force: true }));
Object.assign(process.env, {
  HOST: "127.0.0.1",
  PORT: "0",
  APIFORGE_DATA_DIR: dataDir,
  // Empty counts as absent.
  DATABASE_URL: "",
  SANDBOX_PORT: "",
  SLACK_WEBHOOK_URL: "",
  CLINIC_SMS_URL: "",
  CLINIC_CRM_URL: "",
  TWILIO_ACCOUNT_SID: "",
  TWILIO_AUTH_TOKEN: "",
  TWILIO_PHONE_NUMBER: "",
});

const { serve } = await import("./serve.ts");
await serve();
process.kill(process.pid, "SIGTERM");
