import { edgeError } from "../errors.ts";
import type { Principal } from "./principal.ts";
import type { ClaimMap, ClaimSource } from "./trusted-issuer.ts";

type Claims = Readonly<Record<string, unknown>>;

/**
 * Who a verified token speaks for.
 * @throws {invalid_token} for one without a subject or tenant.
 */
export function principalOf(claims: Claims, map: ClaimMap = {}): Principal {
  const subject = text(claims["sub"]);
  if (subject === "") throw edgeError("invalid_token", "The token names no subject");
  const tenant = text(valueAt(claims, map.tenant ?? "tenant"));
  if (tenant === "") throw edgeError("invalid_token", "The token names no tenant");
  const email = text(valueAt(claims, map.email ?? "email"));
  return {
    subject,
    tenant,
    role: roleOf(valueAt(claims, map.role ?? "role"), map.roleOrder ?? []),
    ...(email === "" ? {} : { email }),
    scopes: scopesOf(claims, map.scopes ?? ["scope"]),
    ...boundTo(claims["cnf"]),
    claims,
  };
}

/** RFC 8705 section 3.1. @throws {invalid_token} for a binding that cannot be read, which must not be lost. */
function boundTo(cnf: unknown): { readonly certificate?: string } {
  const thumbprint = own(cnf, "x5t#S256");
  if (thumbprint === undefined) return {};
  if (typeof thumbprint === "string" && thumbprint !== "") return { certificate: thumbprint };
  throw edgeError("invalid_token", "The certificate that the token is bound to cannot be read");
}

/** The value that `source` names; undefined where there is none. */
function valueAt(claims: Claims, source: ClaimSource): unknown {
  if (typeof source === "string") return own(claims, source);
  if ("constant" in source) return source.constant;
  return source.reduce<unknown>(own, claims);
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Claims)[name];
}

function roleOf(value: unknown, order: readonly string[]): string {
  if (!Array.isArray(value)) return text(value);
  return order.find((role) => value.includes(role)) ?? "";
}

function scopesOf(claims: Claims, sources: readonly ClaimSource[]): readonly string[] {
  const scopes = sources.flatMap((source) => words(valueAt(claims, source)));
  return sources.length === 1 ? scopes : [...new Set(scopes)];
}

function words(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : text(value).split(" ");
  return list.filter((word): word is string => typeof word === "string" && word !== "");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
