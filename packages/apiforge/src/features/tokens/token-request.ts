import type { ClientCredentials } from "./clients.ts";
import { OAuthRefusal } from "./oauth-refusal.ts";

/** A request to the token endpoint, as it came. */
export interface TokenRequest {
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: Buffer;
  /** `x5t#S256` thumbprint of the client certificate on the connection, when one was proved. */
  readonly certificate: string | undefined;
}

const formType = /^application\/x-www-form-urlencoded *(?:;|$)/i;
const basic = /^basic +([A-Za-z0-9+/]+=*) *$/i;
const scopeToken = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * The parameters of a request, by RFC 6749 section 3.2: those without a value count as left out.
 * @throws {OAuthRefusal} for a body that is no form, and a parameter that stands twice.
 */
export function readForm({ contentType, body }: TokenRequest): ReadonlyMap<string, string> {
  if (contentType === undefined || !formType.test(contentType)) {
    throw new OAuthRefusal(
      "invalid_request",
      "Send the parameters as application/x-www-form-urlencoded",
    );
  }
  const parameters = new Map<string, string>();
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(body.toString("utf8"))) {
    if (seen.has(name)) throw new OAuthRefusal("invalid_request", "A parameter is given twice");
    seen.add(name);
    if (value !== "") parameters.set(name, value);
  }
  return parameters;
}

/**
 * Who a request says that it comes from (RFC 6749 section 2.3, RFC 8705 section 2); undefined when it
 * does not say.
 * @throws {OAuthRefusal} for one that says it in two ways, or in a way that cannot be read.
 */
export function readCredentials(
  { authorization, certificate }: TokenRequest,
  form: ReadonlyMap<string, string>,
): ClientCredentials | undefined {
  const id = form.get("client_id");
  const secret = form.get("client_secret");
  if (authorization === undefined) {
    return id === undefined ? undefined : { id, secret, certificate };
  }
  const given = readBasic(authorization);
  if (secret !== undefined || (id !== undefined && id !== given.id)) {
    throw new OAuthRefusal("invalid_request", "Authenticate the client in one way");
  }
  return { ...given, certificate };
}

/** The scopes that a request asks for; undefined for all that there are. @throws {OAuthRefusal} */
export function readScopes(form: ReadonlyMap<string, string>): readonly string[] | undefined {
  const text = form.get("scope");
  if (text === undefined) return undefined;
  const scopes = [...new Set(text.split(" "))];
  if (scopes.every(isScope)) return scopes;
  throw new OAuthRefusal("invalid_scope", "A scope has a character that scopes do not have");
}

/** RFC 6749 section 3.3. */
export function isScope(text: string): boolean {
  return scopeToken.test(text);
}

function readBasic(authorization: string): { readonly id: string; readonly secret: string } {
  const [, encoded] = basic.exec(authorization) ?? [];
  const text = Buffer.from(encoded ?? "", "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) {
    throw new OAuthRefusal("invalid_client", "The Authorization header is not Basic credentials");
  }
  return { id: formDecoded(text.slice(0, colon)), secret: formDecoded(text.slice(colon + 1)) };
}

// RFC 6749 section 2.3.1: both parts are encoded as in a form.
function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (error) {
    throw new OAuthRefusal("invalid_client", "The Authorization header is not form-encoded", {
      cause: error,
    });
  }
}
