import type { ApiForgeError } from "../kernel/index.ts";
import { gatewayError } from "./errors.ts";

/** Error types of RFC 9209 section 2.3 that we find. */
export type ProxyErrorType =
  | "connection_limit_reached"
  | "connection_refused"
  | "connection_terminated"
  | "connection_timeout"
  | "destination_ip_unroutable"
  | "destination_unavailable"
  | "dns_error"
  | "http_protocol_error"
  | "http_response_header_section_size"
  | "http_response_incomplete"
  | "http_response_timeout"
  | "http_upgrade_failed"
  | "proxy_internal_error"
  | "proxy_loop_detected"
  | "tls_certificate_error"
  | "tls_protocol_error";

/** Why an upstream did not answer. */
export interface UpstreamFailure {
  readonly type: ProxyErrorType;
  /** False when nothing of the request can have reached the upstream. */
  readonly wasSent: boolean;
  readonly cause: unknown;
}

/** Nothing was tried. */
export function notSent(type: ProxyErrorType): UpstreamFailure {
  return { type, wasSent: false, cause: undefined };
}

const byCode: Readonly<Record<string, ProxyErrorType>> = {
  ECONNREFUSED: "connection_refused",
  ECONNRESET: "connection_terminated",
  EPIPE: "connection_terminated",
  UND_ERR_SOCKET: "connection_terminated",
  ETIMEDOUT: "connection_timeout",
  UND_ERR_CONNECT_TIMEOUT: "connection_timeout",
  EHOSTUNREACH: "destination_ip_unroutable",
  ENETUNREACH: "destination_ip_unroutable",
  EADDRNOTAVAIL: "destination_ip_unroutable",
  ENOTFOUND: "dns_error",
  EAI_AGAIN: "dns_error",
  UND_ERR_HEADERS_OVERFLOW: "http_response_header_section_size",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "http_response_incomplete",
  EPROTO: "tls_protocol_error",
  DEPTH_ZERO_SELF_SIGNED_CERT: "tls_certificate_error",
  SELF_SIGNED_CERT_IN_CHAIN: "tls_certificate_error",
  HOSTNAME_MISMATCH: "tls_certificate_error",
  INVALID_CA: "tls_certificate_error",
  INVALID_PURPOSE: "tls_certificate_error",
  PATH_LENGTH_EXCEEDED: "tls_certificate_error",
  UNABLE_TO_GET_ISSUER_CERT: "tls_certificate_error",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls_certificate_error",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "tls_certificate_error",
};

/** The type of an error of a connection to an upstream, by Node's and undici's codes. */
export function failureType(error: unknown): ProxyErrorType {
  const { code, name } = codeAndName(error);
  const known = byCode[code];
  if (known !== undefined) return known;
  if (code.startsWith("HPE_") || name === "HTTPParserError") return "http_protocol_error";
  if (code.startsWith("ERR_TLS_CERT") || code.startsWith("CERT_")) return "tls_certificate_error";
  if (code.startsWith("ERR_SSL") || code.startsWith("ERR_TLS")) return "tls_protocol_error";
  return "proxy_internal_error";
}

function codeAndName(error: unknown): { readonly code: string; readonly name: string } {
  if (!(error instanceof Error)) return { code: "", name: "" };
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return { code, name: error.name };
}

/** What the caller is told. Nothing in it names a host. */
export function failureError(
  { type, wasSent, cause }: UpstreamFailure,
  isRepeatable: boolean,
): ApiForgeError {
  if (type === "connection_limit_reached" || type === "destination_unavailable") {
    return gatewayError("upstream_overloaded", "The service behind this route takes no more now", {
      retryAfterSeconds: 1,
      cause,
    });
  }
  if (type === "proxy_loop_detected") {
    return gatewayError(
      "loop_detected",
      "The request has come back to the gateway that sent it on",
    );
  }
  if (!wasSent) {
    return gatewayError(
      "upstream_unreachable",
      "The service behind this route cannot be reached; nothing was sent to it",
      { cause },
    );
  }
  if (!isRepeatable) {
    return gatewayError(
      "upstream_outcome_unknown",
      "The service behind this route gave no answer; it may have done what you asked. Look before you send it again",
      { cause },
    );
  }
  return type === "http_response_timeout"
    ? gatewayError("upstream_timeout", "The service behind this route did not answer in time", {
        cause,
      })
    : gatewayError(
        "upstream_failed",
        "The service behind this route gave no answer that can be read",
        { cause },
      );
}
