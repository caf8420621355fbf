import type { Auth } from "../../edge/index.ts";
import type { RouteConfig } from "./gateway-config.ts";
import { isObject } from "./shape.ts";

type Refuse = (problem: string, remedy: string) => void;
type Kind = "jwt" | "key" | "certificate";

const remedy =
  "Use bearer tokens (http, oauth2, openIdConnect), an API key in the header X-Api-Key, or mutualTLS.";

/**
 * What callers of an operation must prove, by its Security Requirements (section 4.8.30). Nothing where the
 * document says nothing: then the configuration does.
 */
export function securityOf(
  root: Readonly<Record<string, unknown>>,
  own: unknown,
  refuse: Refuse,
): Pick<RouteConfig, "auth" | "scopes" | "certificate"> {
  const given = own ?? root["security"];
  if (!Array.isArray(given)) return {};
  const requirements = given.filter(isObject);
  const named = requirements.filter((requirement) => Object.keys(requirement).length > 0);
  if (named.length === 0) return { auth: "none" };
  const kinds = named.map((requirement) => kindsOf(root, requirement, refuse));
  const scopeLists = new Set(named.map((requirement) => scopesOf(requirement).join(" ")));
  if (scopeLists.size > 1) {
    refuse("asks alternatives for different scopes", "Ask all of them for the same.");
    return {};
  }
  const [first] = named;
  const scopes = first === undefined ? [] : scopesOf(first);
  const isOptional = named.length < requirements.length;
  if (isOptional && scopes.length > 0) {
    refuse("asks nobody in particular for scopes", "Take the empty alternative away.");
    return {};
  }
  return { ...provenBy(kinds, isOptional, refuse), ...(scopes.length === 0 ? {} : { scopes }) };
}

function provenBy(
  alternatives: readonly ReadonlySet<Kind>[],
  isOptional: boolean,
  refuse: Refuse,
): Pick<RouteConfig, "auth" | "certificate"> {
  const all = new Set(alternatives.flatMap((kinds) => [...kinds]));
  const [only] = alternatives;
  const isTogether = alternatives.some((kinds) => kinds.size > 1);
  if (isOptional && !all.has("certificate") && !isTogether) return { auth: "optional" };
  if (isTogether && alternatives.length === 1 && only !== undefined) {
    const others = [...only].filter((kind) => kind !== "certificate");
    const [auth] = others;
    if (only.has("certificate") && others.length === 1 && auth !== undefined) {
      return { auth, certificate: "required" };
    }
  }
  if (!isTogether && !isOptional) {
    const kinds = [...all];
    const [auth] = kinds;
    if (kinds.length === 1 && auth !== undefined) return { auth };
    if (!all.has("certificate")) return { auth: "any" satisfies Auth };
  }
  if (all.size > 0) refuse("asks for what no route can ask for together", remedy);
  return {};
}

function kindsOf(
  root: Readonly<Record<string, unknown>>,
  requirement: Readonly<Record<string, unknown>>,
  refuse: Refuse,
): ReadonlySet<Kind> {
  const components = isObject(root["components"]) ? root["components"] : {};
  const schemes = isObject(components["securitySchemes"]) ? components["securitySchemes"] : {};
  const kinds = new Set<Kind>();
  for (const name of Object.keys(requirement)) {
    const kind = kindOf(schemes[name]);
    if (kind === undefined) refuse(`names ${name}, which cannot be asked for`, remedy);
    else kinds.add(kind);
  }
  return kinds;
}

function kindOf(scheme: unknown): Kind | undefined {
  if (!isObject(scheme)) return undefined;
  const { type, scheme: http, in: place, name } = scheme;
  if (type === "oauth2" || type === "openIdConnect") return "jwt";
  if (type === "http") return String(http).toLowerCase() === "bearer" ? "jwt" : undefined;
  if (type === "mutualTLS") return "certificate";
  const isOurs = place === "header" && String(name).toLowerCase() === "x-api-key";
  return type === "apiKey" && isOurs ? "key" : undefined;
}

function scopesOf(requirement: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.values(requirement).flat().map(String);
}
