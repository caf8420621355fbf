import { posix } from "node:path";
import type { Import } from "./imports.ts";
import { indexOf, packageOf, placeOf, type Place } from "./places.ts";
import {
  peerRules,
  providerSdk,
  roomRules,
  workspaceRules,
  type Access,
  type RoomRule,
} from "./rules.ts";

/**
 * What is wrong with the imports of the file at `path`, one sentence each with its line; empty when
 * the direction rule holds. `path` is relative to the root of the tree.
 */
export function violationsOf(path: string, imports: readonly Import[]): string[] {
  const place = placeOf(path);
  const complaints: string[] = [];
  if (place.isProduction) complaints.push(...missingRows(place));
  for (const found of imports) {
    const complaint = complaintAbout(path, place, found);
    if (complaint !== undefined) complaints.push(`line ${found.line}: ${complaint}`);
  }
  return complaints;
}

function missingRows(place: Place): string[] {
  const missing: string[] = [];
  if (!workspaceRules.some((rule) => rule.folder.test(place.workspace))) {
    missing.push(`workspace ${place.workspace} has no row in scripts/boundaries/rules.ts`);
  }
  if (place.room !== undefined && ruleOf(place.room) === undefined) {
    missing.push(`room ${place.room} has no row in scripts/boundaries/rules.ts`);
  }
  return missing;
}

function ruleOf(room: string): RoomRule | undefined {
  return roomRules[room.startsWith("features/") ? "features/*" : room];
}

function complaintAbout(path: string, place: Place, found: Import): string | undefined {
  const { specifier } = found;
  if (specifier === undefined) return complaintAboutComputed(place);
  if (specifier.startsWith("node:")) return complaintAboutNode(place, found);
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(path), specifier);
    return complaintAboutFile(place, target, found);
  }
  if (!place.isProduction) return undefined;
  const isOurs = specifier === "apiforge" || /^(apiforge|@apiforge)\//.test(specifier);
  return isOurs
    ? complaintAboutOurs(place, specifier)
    : complaintAboutPackage(place, specifier, found);
}

/** For an import Node reads each export of a module, and of `node:http` that loads its fetch: 16 MB. */
function complaintAboutNode(place: Place, { specifier, load }: Import): string | undefined {
  if (place.room === undefined || specifier !== "node:http" || load === "types") return undefined;
  return "node:http is 16 MB of fetch when it is imported: take what you need by edge/node-http.ts";
}

function complaintAboutComputed(place: Place): string | undefined {
  if (place.room === undefined || ruleOf(place.room)?.computedImports === true) return undefined;
  return `import() of a computed path in ${place.room}: write the path as a string`;
}

function complaintAboutFile(place: Place, target: string, found: Import): string | undefined {
  const other = placeOf(target);
  if (other.workspace !== place.workspace) {
    return `${target} belongs to another workspace: import it by its package name`;
  }
  if (!place.isProduction) return undefined;
  if (!other.isProduction) return `production code must not import ${target}`;
  if (place.room === undefined || other.room === undefined || place.room === other.room) {
    return undefined;
  }
  return complaintAboutRoom(place.room, other.room, target, found);
}

function complaintAboutRoom(from: string, to: string, target: string, found: Import) {
  const rule = ruleOf(from);
  if (rule === undefined) return undefined;
  const access = accessTo(to, rule);
  if (access === undefined) return `${from} must not import ${to}`;
  if (access === "types" && found.load !== "types") {
    return `${from} may take only types from ${to}: use \`import type\``;
  }
  // The files of the store contract are next door to the two stores that implement it.
  const isOwnContract = from.startsWith(`${to}/`);
  if (!isOwnContract && target !== indexOf(to)) {
    return `${from} reaches into ${to}: import ${indexOf(to)}`;
  }
  return undefined;
}

function accessTo(room: string, rule: RoomRule): Access | undefined {
  if (rule.rooms !== "*") return rule.rooms[room];
  return room === "cli" ? undefined : "all";
}

function complaintAboutOurs(place: Place, specifier: string): string | undefined {
  const rule = workspaceRules.find((row) => row.folder.test(place.workspace));
  if (rule === undefined || rule.ours.test(specifier)) return undefined;
  return `${place.workspace} must not import ${specifier}`;
}

function complaintAboutPackage(place: Place, specifier: string, found: Import) {
  if (place.room === undefined) return undefined;
  const name = packageOf(specifier);
  if (ruleOf(place.room)?.packages === false) {
    return `${place.room} imports node: modules only, not ${name}`;
  }
  if (providerSdk.test(name)) {
    return `${name} is a provider's SDK: only its connector package may import it`;
  }
  const peer = peerRules[name];
  if (peer === undefined) return undefined;
  if (place.room !== peer.room)
    return `${name} is an optional peer: only ${peer.room} may import it`;
  if (peer.load === "on-demand" && found.load === "at-start") {
    return `${name} is an optional peer: load it with import() when it is needed`;
  }
  return undefined;
}
