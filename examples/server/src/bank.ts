import { join } from "node:path";
import {
  accountsUpstream,
  openBankingCertificates,
  startAccountsService,
} from "@apiforge/example-open-banking";
import type { Config, Upstream } from "apiforge";

/** What open banking needs of this server. */
export interface Bank {
  readonly accounts: Upstream;
  /** The authority of the certificates that are asked for. */
  readonly clientCaFile: string | undefined;
}

// Without TLS nobody has a certificate, so nobody gets there.
const nowhere = "http://127.0.0.1:9";

/**
 * The bank behind open banking: `OPEN_BANKING_ACCOUNTS_URL`, else a service that is started with a server
 * that speaks TLS. Certificates are made in the data folder where no authority is configured.
 */
export async function connectBank(config: Config, environment: NodeJS.ProcessEnv): Promise<Bank> {
  const given = environment["OPEN_BANKING_ACCOUNTS_URL"] ?? "";
  const folder = join(config.dataDir, "open-banking");
  const clientCaFile = config.clientCaFile ?? (await ownAuthority(folder));
  const url = given === "" ? await ownService(config) : given;
  return { accounts: accountsUpstream(url), clientCaFile };
}

/** Undefined for a data folder that cannot be written, of which the store says what to do. */
async function ownAuthority(folder: string): Promise<string | undefined> {
  try {
    return (await openBankingCertificates(folder)).authorityFile;
  } catch (error) {
    if (isRefusedWrite(error)) return undefined;
    throw error;
  }
}

function isRefusedWrite(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}

async function ownService({ tlsKeyFile }: Config): Promise<string> {
  return tlsKeyFile === undefined ? nowhere : (await startAccountsService()).url;
}
