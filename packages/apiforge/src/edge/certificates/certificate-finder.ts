import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";

import { connectionOf } from "../http2/http2-request.ts";
import { readClientCert } from "./client-cert-header.ts";
import { maxIntermediates, thumbprintOf, type PresentedCertificate } from "./presented.ts";
import type { TrustedProxies } from "../trusted-proxies.ts";

/** What a handshake finds of dates is looked at again for each request, by the clock of the edge. */
const dateErrors = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** Finds the client certificate of a request. */
export type CertificateOf = (request: IncomingMessage) => PresentedCertificate | undefined;

/**
 * Behind a trusted proxy the certificate is what its `Client-Cert` says (RFC 9440), and none without:
 * the proxy's own is not the client's. Elsewhere it is that of the connection.
 * @throws {invalid_certificate} for a `Client-Cert` of a trusted proxy that cannot be read.
 */
export function certificateFinder(proxies: TrustedProxies): CertificateOf {
  const ofConnections = new WeakMap<TLSSocket, PresentedCertificate | "none">();
  return function certificateOf(request) {
    const { headers } = request;
    const socket = connectionOf(request);
    if (proxies.has(socket.remoteAddress)) return readClientCert(headers);
    if (!(socket instanceof TLSSocket)) return undefined;
    let found = ofConnections.get(socket);
    if (found === undefined) {
      found = ofConnection(socket) ?? "none";
      ofConnections.set(socket, found);
    }
    return found === "none" ? undefined : found;
  };
}

function ofConnection(socket: TLSSocket): PresentedCertificate | undefined {
  const x509 = socket.getPeerX509Certificate();
  if (x509 === undefined) return undefined;
  return {
    thumbprint: thumbprintOf(x509),
    x509,
    intermediates: intermediatesOf(x509),
    passedHandshake: socket.authorized || dateErrors.has(String(socket.authorizationError)),
  };
}

function intermediatesOf(leaf: X509Certificate): readonly X509Certificate[] {
  const found: X509Certificate[] = [];
  let next = leaf.issuerCertificate;
  while (next !== undefined && found.length < maxIntermediates) {
    found.push(next);
    if (next.issuerCertificate === next) break;
    next = next.issuerCertificate;
  }
  return found;
}
