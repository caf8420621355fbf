import type { HeadChanges, HeadDeclaration } from "../../gateway/index.ts";
import type { PolicyConfig } from "./gateway-config.ts";

/**
 * What `layers` say together of the heads of requests and answers: each adds to those before it, and of a field the
 * later word counts.
 */
export function headsOf(
  layers: readonly PolicyConfig[],
): Pick<PolicyConfig, "request" | "response"> {
  const request = together(layers.map((layer) => layer.request));
  const response = together(layers.map((layer) => layer.response));
  return { ...(request && { request }), ...(response && { response }) };
}

function together(
  declarations: readonly (HeadDeclaration | undefined)[],
): HeadDeclaration | undefined {
  const changes = declarations.flatMap((declaration) => declaration?.headers ?? []);
  return changes.length === 0 ? undefined : { headers: merged(changes) };
}

/** By name in lower case; undefined for a field that is removed. */
function merged(changes: readonly HeadChanges[]): HeadChanges {
  const words = new Map<string, string | undefined>();
  for (const { set = {}, remove = [] } of changes) {
    for (const name of remove) words.set(name.toLowerCase(), undefined);
    for (const [name, value] of Object.entries(set)) words.set(name.toLowerCase(), value);
  }
  const set = [...words].filter((word): word is [string, string] => word[1] !== undefined);
  const remove = [...words].flatMap(([name, value]) => (value === undefined ? [name] : []));
  return { set: Object.fromEntries(set), remove };
}
