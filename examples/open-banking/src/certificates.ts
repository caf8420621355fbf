import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Files in PEM. */
export interface CertificateFiles {
  /** Of the authority that has given out all others. */
  readonly authorityFile: string;
  readonly serverKeyFile: string;
  readonly serverCertFile: string;
  /** Of a payment service provider that calls. */
  readonly providerKeyFile: string;
  readonly providerCertFile: string;
}

/**
 * The certificates of a bank that is tried out, in `folder`; made when there are none. A real bank
 * takes those of its providers from a qualified authority.
 */
export async function openBankingCertificates(folder: string): Promise<CertificateFiles> {
  const files = filesIn(folder);
  if (await isThere(files.authorityFile)) return files;
  await mkdir(dirname(folder), { recursive: true });
  // Moved into its place whole: another process may make them at the same time.
  const made = await mkdtemp(`${folder}-`);
  await writeAll(filesIn(made));
  try {
    await rename(made, folder);
  } catch (error) {
    await rm(made, { recursive: true });
    if (!(await isThere(files.authorityFile))) throw error;
  }
  return files;
}

function filesIn(folder: string): CertificateFiles {
  return {
    authorityFile: join(folder, "authority.pem"),
    serverKeyFile: join(folder, "server-key.pem"),
    serverCertFile: join(folder, "server.pem"),
    providerKeyFile: join(folder, "provider-key.pem"),
    providerCertFile: join(folder, "provider.pem"),
  };
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function writeAll(files: CertificateFiles): Promise<void> {
  // Loaded when it is needed: once in the life of a data folder.
  const { createAuthority } = await import("./authority.ts");
  const authority = await createAuthority("Open banking test authority");
  const server = await authority.issue("127.0.0.1", "server");
  const provider = await authority.issue("Test provider", "client");
  const mode = 0o600;
  await writeFile(files.serverKeyFile, server.key, { mode });
  await writeFile(files.serverCertFile, server.cert);
  await writeFile(files.providerKeyFile, provider.key, { mode });
  await writeFile(files.providerCertFile, provider.cert);
  await writeFile(files.authorityFile, authority.cert);
}
