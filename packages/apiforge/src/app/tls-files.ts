import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { createSecureContext } from "node:tls";

import {
  ClientCertificates,
  type Edge,
  type IdentifyCertificate,
  type TlsMaterial,
  type TrustOptions,
} from "../edge/index.ts";
import type { Clock, Log, Timer } from "../kernel/index.ts";
import { settingName, type Config } from "./config.ts";
import { appError } from "./errors.ts";

const lookAgainMs = 60_000;

/** What the configured files hold; undefined for what is not configured. */
export interface TlsFiles {
  readonly tls: TlsMaterial | undefined;
  readonly trust: TrustOptions | undefined;
}

/**
 * Reads the files that the configuration names.
 * @throws {config_invalid} for one that cannot be read, and a key without a certificate or the reverse.
 */
export async function readTlsFiles(config: Config): Promise<TlsFiles> {
  const { tlsKeyFile, tlsCertFile, clientCaFile, clientCrlFile } = config;
  if ((tlsKeyFile === undefined) !== (tlsCertFile === undefined)) {
    throw invalid(`${settingName("tlsKeyFile")} and ${settingName("tlsCertFile")} go together`);
  }
  if (clientCaFile === undefined && clientCrlFile !== undefined) {
    throw invalid(`${settingName("clientCrlFile")} needs ${settingName("clientCaFile")}`);
  }
  const key = await textOf(config, "tlsKeyFile");
  const cert = await textOf(config, "tlsCertFile");
  const ca = await textOf(config, "clientCaFile");
  const crl = await textOf(config, "clientCrlFile");
  return {
    tls: key === undefined || cert === undefined ? undefined : fitting({ key, cert }),
    trust: ca === undefined ? undefined : { ca, crl },
  };
}

function fitting(material: TlsMaterial): TlsMaterial {
  try {
    createSecureContext({ ...material });
    return material;
  } catch (error) {
    const names = `${settingName("tlsKeyFile")} and ${settingName("tlsCertFile")}`;
    throw appError("config_invalid", `${names} hold no key and its certificate.`, { cause: error });
  }
}

async function textOf(
  config: Config,
  name: "tlsKeyFile" | "tlsCertFile" | "clientCaFile" | "clientCrlFile",
): Promise<string | undefined> {
  const path = config[name];
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw appError("config_invalid", `${settingName(name)} cannot be read.`, { cause: error });
  }
}

/**
 * Who may call by a certificate; undefined where nobody is asked for one.
 * @throws {config_invalid} for authorities and lists that cannot be read.
 */
export function clientCertificates(
  { trust }: TlsFiles,
  { trustedProxies }: Config,
  clock: Clock,
  identify: IdentifyCertificate | undefined,
): ClientCertificates | undefined {
  if (trust === undefined) return undefined;
  try {
    return new ClientCertificates({ ...trust, trustedProxies, clock, identify });
  } catch (error) {
    const names = `${settingName("clientCaFile")} or ${settingName("clientCrlFile")}`;
    throw appError(
      "config_invalid",
      `${names} cannot be used: it is not what it should be, in PEM.`,
      {
        cause: error,
      },
    );
  }
}

/** What {@link watchTlsFiles} works with. */
export interface WatchParts {
  readonly config: Config;
  readonly edge: Pick<Edge, "renewTls">;
  readonly certificates: ClientCertificates | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Takes up files that have changed, once a minute; what cannot be used is logged, and the old goes on. */
export function watchTlsFiles(first: TlsFiles, parts: WatchParts): { stop(): void } {
  const { config, clock, log } = parts;
  let current = first;
  let timer: Timer | undefined;
  let isStopped = false;
  async function look(): Promise<void> {
    try {
      const next = await readTlsFiles(config);
      if (!isStopped && !isDeepStrictEqual(next, current)) {
        takeUp(next, parts);
        current = next;
        log.info({}, "TLS files have changed and are in use");
      }
    } catch (error) {
      log.error({ err: error }, "changed TLS files cannot be used; the ones before stay in use");
    }
    schedule();
  }
  function schedule(): void {
    if (!isStopped) timer = clock.after(lookAgainMs, () => void look());
  }
  schedule();
  return {
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}

function takeUp({ tls, trust }: TlsFiles, { edge, certificates }: WatchParts): void {
  if (trust !== undefined) certificates?.renew(trust);
  if (tls !== undefined) edge.renewTls(tls);
}

function invalid(message: string): Error {
  return appError("config_invalid", `${message}.`);
}
