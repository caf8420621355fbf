import { join } from "node:path";
import { createForge, readConfig, runForge, type Forge } from "apiforge";

import {
  accountsUpstream,
  auditLogOf,
  openBanking,
  openBankingCertificates,
  startAccountsService,
} from "./index.ts";

// The system alone, over TLS, with certificates that it makes for itself.
const config = readConfig();
const files = await openBankingCertificates(join(config.dataDir, "open-banking"));
const service = await startAccountsService();
const durable = Promise.withResolvers<Forge["durable"]>();
const forge = await createForge(
  openBanking({ accounts: accountsUpstream(service.url), record: auditLogOf(durable.promise) }),
  {
    config: {
      tlsKeyFile: files.serverKeyFile,
      tlsCertFile: files.serverCertFile,
      clientCaFile: files.authorityFile,
    },
  },
);
durable.resolve(forge.durable);
console.log(`Accounts service on ${service.url}`);
await runForge(forge);
