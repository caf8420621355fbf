import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { readConfig, settingNames } from "../../src/app/index.ts";

const page = new URL("../../../../docs/reference/configuration.md", import.meta.url);

test("docs/reference/configuration.md lists every variable that is read, with its default", () => {
  const rows = readFileSync(page, "utf8").matchAll(/^\| `(\w+)` \| (?:`([^`]*)`)? ?\| /gm);
  const documented = [...rows].map(([, name, value = ""]) => ({ name, default: value }));
  expect(documented).toEqual(settingNames());
});

test("all problems of a configuration are reported together, without the values", () => {
  const environment = {
    PORT: "70000",
    DATABASE_URL: "mysql://user:hunter2@host/db",
    APIFORGE_SECRET: "short",
  };
  expect(() => readConfig(environment)).toThrow(
    expect.objectContaining({
      code: "config_invalid",
      message:
        "PORT must be a whole number from 0 to 65535; DATABASE_URL must be a URL that starts with postgres:// or postgresql://; APIFORGE_SECRET must be at least 32 characters long.",
    }),
  );
});

test("an empty variable counts as absent", () => {
  expect(readConfig({ PORT: "", HOST: "::1" })).toMatchObject({ port: 4000, host: "::1" });
});
