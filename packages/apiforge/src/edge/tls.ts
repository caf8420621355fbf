import type { Server } from "node:http";
import { createSecureContext, Server as TlsServer, type TlsOptions } from "node:tls";

import { protocols } from "./http2/http2-front.ts";

/** As long as the head of a request may take; Node's own is two minutes. */
const handshakeTimeoutMs = 10_000;

/** What a server proves itself by. */
export interface TlsMaterial {
  /** Private key, in PEM. */
  readonly key: string;
  /** Certificate with what leads from it to an authority, in PEM. */
  readonly cert: string;
}

/**
 * Options of a server that speaks TLS 1.2 and 1.3. With `clientCa` clients are asked for a certificate; one
 * who sends none, or a bad one, is let in all the same, since routes say what they need and answer for it.
 * @throws {Error} of Node.js for a key and certificate that cannot be used together.
 */
export function tlsOptions(material: TlsMaterial, clientCa: string | undefined): TlsOptions {
  const { key, cert } = material;
  const options: TlsOptions = {
    key,
    cert,
    minVersion: "TLSv1.2",
    ALPNProtocols: protocols,
    handshakeTimeout: handshakeTimeoutMs,
  };
  if (clientCa === undefined) return options;
  return { ...options, ca: clientCa, requestCert: true, rejectUnauthorized: false };
}

/** Connections that are opened from now on are served with `material`; those that are open go on. */
export function renewTls(
  server: Server,
  material: TlsMaterial,
  clientCa: string | undefined,
): void {
  if (!(server instanceof TlsServer)) throw new TypeError("This server does not speak TLS");
  const options = tlsOptions(material, clientCa);
  // Before anything changes: a key that does not fit must not end the service.
  createSecureContext(options);
  server.setSecureContext(options);
}
