import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, recordingLog, until } from "@apiforge/testing";
import { afterEach, beforeEach, expect, test } from "vitest";

import { readConfig, type Config } from "../../src/app/index.ts";
import { clientCertificates, readTlsFiles, watchTlsFiles } from "../../src/app/tls-files.ts";
import type { TlsMaterial } from "../../src/edge/index.ts";
import { Authority } from "@apiforge/testing/certificates";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tls-"));
});

afterEach(() => rm(directory, { recursive: true }));

function write(name: string, text: string): Promise<void> {
  return writeFile(join(directory, name), text);
}

function config(...names: readonly string[]): Config {
  const variables = {
    key: "APIFORGE_TLS_KEY_FILE",
    cert: "APIFORGE_TLS_CERT_FILE",
    ca: "APIFORGE_CLIENT_CA_FILE",
    crl: "APIFORGE_CLIENT_CRL_FILE",
  } as const;
  const entries = Object.entries(variables).filter(([name]) => names.includes(name));
  return readConfig(
    Object.fromEntries(entries.map(([name, variable]) => [variable, join(directory, name)])),
  );
}

test("files that change are taken up within a minute, and ones that cannot be used are not", async () => {
  const clock = new ManualClock();
  const log = recordingLog();
  const root = await Authority.create("Root");
  const [first, second] = [await root.issue("a"), await root.issue("b")];
  await Promise.all([write("key", first.key), write("cert", first.cert), write("ca", root.cert)]);
  const settings = config("key", "cert", "ca");
  const files = await readTlsFiles(settings);
  const certificates = clientCertificates(files, settings, clock, undefined);
  const taken: TlsMaterial[] = [];
  const edge = { renewTls: (material: TlsMaterial) => void taken.push(material) };
  const watched = watchTlsFiles(files, { config: settings, edge, certificates, clock, log });
  const look = async (): Promise<void> => {
    clock.advance(60_000);
    await until("the files to have been looked at", () => clock.pending === 1);
  };
  await look();
  expect(taken).toEqual([]);
  // A key is written before its certificate.
  await write("key", second.key);
  await look();
  expect(taken).toEqual([]);
  expect(log.entries.at(-1)).toMatchObject({ level: "error" });
  await write("cert", second.cert);
  const other = await Authority.create("Other");
  await write("ca", other.cert);
  await look();
  expect(taken).toEqual([{ key: second.key, cert: second.cert }]);
  expect(certificates?.ca).toBe(other.cert);
  watched.stop();
  expect(clock.pending).toBe(0);
});

test.each<[readonly string[], string]>([
  [["key"], "APIFORGE_TLS_KEY_FILE and APIFORGE_TLS_CERT_FILE go together."],
  [["crl"], "APIFORGE_CLIENT_CRL_FILE needs APIFORGE_CLIENT_CA_FILE."],
  [["key", "cert"], "APIFORGE_TLS_KEY_FILE cannot be read."],
])("%o alone keep a server from starting", async (names, message) => {
  await expect(readTlsFiles(config(...names))).rejects.toMatchObject({
    code: "config_invalid",
    message,
  });
});

test("what the files hold must fit together, and is never told", async () => {
  const root = await Authority.create("Root");
  const [one, two] = [await root.issue("a"), await root.issue("b")];
  await Promise.all([write("key", one.key), write("cert", two.cert), write("ca", "nothing")]);
  await expect(readTlsFiles(config("key", "cert"))).rejects.toMatchObject({
    code: "config_invalid",
    message: "APIFORGE_TLS_KEY_FILE and APIFORGE_TLS_CERT_FILE hold no key and its certificate.",
  });
  const settings = config("ca");
  const files = await readTlsFiles(settings);
  expect(() => clientCertificates(files, settings, new ManualClock(), undefined)).toThrow(
    expect.objectContaining({ code: "config_invalid" }),
  );
});

test("networks of proxies are read from the configuration", () => {
  const given = { APIFORGE_TRUSTED_PROXIES: "10.0.0.0/8, ::1" };
  expect(readConfig(given).trustedProxies).toEqual(["10.0.0.0/8", "::1"]);
  for (const wrong of ["10.0.0.0/33", "proxy.test", "10.0.0.0/8,"]) {
    expect(() => readConfig({ APIFORGE_TRUSTED_PROXIES: wrong })).toThrow(
      expect.objectContaining({ code: "config_invalid" }),
    );
  }
});
