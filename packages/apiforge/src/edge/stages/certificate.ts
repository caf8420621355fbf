import type { ClientCertificates } from "../certificates/client-certificates.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";
import type { Stage, Steps } from "../stage.ts";

/**
 * The stage that takes the word of nobody but a trusted proxy on certificates: `Client-Cert` and
 * `Client-Cert-Chain` of anybody else are not there (RFC 9440 section 4).
 */
export function dropForeignCertificates(certificates: ClientCertificates | undefined): Stage {
  const steps: Steps = {
    enter({ request: { raw } }) {
      const { headers } = raw;
      if (headers["client-cert"] === undefined && headers["client-cert-chain"] === undefined)
        return;
      if (certificates?.proxies.has(raw.socket.remoteAddress) === true) return;
      delete headers["client-cert"];
      delete headers["client-cert-chain"];
    },
  };
  return () => steps;
}

/**
 * The stage that asks for the caller's certificate where a route does: as the one thing that tells who
 * calls (`auth: "certificate"`), or beside it.
 * @throws {TypeError} for a route that asks for certificates where none are.
 */
export function identifyCertificate(certificates: ClientCertificates | undefined): Stage {
  return function identifyOn(route) {
    if (route === undefined) return undefined;
    const isIdentity = route.auth === "certificate";
    if (route.certificate === "noted") return noteCertificate(certificates);
    if (!isIdentity && route.certificate === undefined) return undefined;
    if (certificates === undefined) {
      throw new TypeError(
        `${nameOf(route)}: no client certificates are asked for; say whose are trusted`,
      );
    }
    return {
      enter(exchange) {
        const principal = certificates.verify(exchange.request.raw);
        exchange.certificate = principal.certificate;
        if (isIdentity) exchange.principal = principal;
      },
    };
  };
}

function noteCertificate(certificates: ClientCertificates | undefined): Steps | undefined {
  if (certificates === undefined) return undefined;
  return {
    enter(exchange) {
      exchange.certificate = certificates.of(exchange.request.raw)?.thumbprint;
    },
  };
}

/**
 * The stage that holds a token to the certificate that it is bound to (RFC 8705 section 3), wherever it
 * is used; and puts a certificate that was asked for beside a token to its principal.
 */
export function bindToken(certificates: ClientCertificates | undefined): Stage {
  return function bindOn(route) {
    if (route === undefined || route.auth === "none" || route.auth === "certificate")
      return undefined;
    if (route.certificate === "required") return { enter: requireBoth };
    return {
      enter(exchange) {
        const bound = exchange.principal?.certificate;
        if (bound === undefined) return;
        if (certificates?.of(exchange.request.raw)?.thumbprint !== bound) throw notItsHolder();
      },
    };
  };
}

function requireBoth(exchange: Exchange): void {
  const { principal, certificate } = exchange;
  if (principal === undefined || certificate === undefined) return;
  if (principal.certificate !== undefined && principal.certificate !== certificate) {
    throw notItsHolder();
  }
  exchange.principal = {
    ...principal,
    certificate,
    credentialId: principal.credentialId ?? certificate,
  };
}

function notItsHolder(): Error {
  return edgeError("invalid_token", "The token is bound to another client certificate");
}

function nameOf({ method, path }: Route): string {
  return `Route ${method} ${path}`;
}
