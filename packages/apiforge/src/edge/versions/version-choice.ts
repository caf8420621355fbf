import createRouter, { type HTTPMethod } from "find-my-way";
import type { IncomingMessage } from "node:http";

import { hasEmptyParam, maxParamLength } from "../allowed-methods.ts";
import type { Route } from "../route.ts";

/** How callers say which version of a route they want; routes say by `version` which one they are. */
export interface VersionOptions {
  /** For requests that say nothing. */
  readonly default: string;
  /** The header that names a version, and tells on answers which one it was. Default `api-version`. */
  readonly header?: string;
  /**
   * The media type whose versions `Accept` may ask for: `application/vnd.acme` is asked for as
   * `application/vnd.acme.v2+json` or `application/vnd.acme+json; version=2`, and JSON is then answered
   * as the former. Default none. The header comes first.
   */
  readonly mediaType?: string;
}

/** The name under which the router knows the choice of a version. */
export const versionConstraint = "apiVersion";

// In lower case, since the names of media types have none.
const versionPattern = /^[a-z0-9_][a-z0-9_.-]{0,31}$/;
const headerPattern = /^[a-z][a-z0-9-]{0,63}$/;
const mediaTypePattern = /^application\/vnd\.[a-z0-9.-]{1,64}$/;

/** What a request asked for, and by what. */
export interface AskedVersion {
  readonly version: string;
  readonly by: "header" | "mediaType" | "default";
}

/** Knows which version a request means, and which ones there are. */
export class VersionChoice {
  /** In lower case. */
  readonly header: string;
  readonly mediaType: string | undefined;
  /** What answers depend on, as `Vary` has it. */
  readonly vary: string;
  readonly default: string;
  readonly versions: ReadonlySet<string>;
  readonly #inAccept: RegExp | undefined;
  readonly #router = createRouter({ maxParamLength });

  /** @throws {TypeError} for names that are none, and a default that no route has. */
  constructor(options: VersionOptions, routes: readonly Route[]) {
    const { header = "api-version", mediaType } = options;
    this.header = header.toLowerCase();
    this.mediaType = mediaType;
    this.default = options.default;
    if (!headerPattern.test(this.header)) throw new TypeError(`versions: ${header} is no header`);
    if (mediaType !== undefined && !mediaTypePattern.test(mediaType)) {
      throw new TypeError("versions: a media type is application/vnd. and a name");
    }
    this.vary = mediaType === undefined ? this.header : `${this.header}, accept`;
    this.#inAccept = mediaType === undefined ? undefined : pattern(mediaType);
    this.versions = this.#add(routes);
    if (!this.versions.has(options.default)) {
      throw new TypeError(`versions: no route has the default version ${options.default}`);
    }
  }

  /** The version that a request asks for, whether there is one or not. */
  asked({ headers }: Pick<IncomingMessage, "headers">): AskedVersion {
    const named = headers[this.header];
    if (typeof named === "string") return { version: named.trim().toLowerCase(), by: "header" };
    const accept = this.#inAccept === undefined ? null : this.#inAccept.exec(headers.accept ?? "");
    const version = accept?.[1] ?? accept?.[2];
    if (version !== undefined) return { version: version.toLowerCase(), by: "mediaType" };
    return { version: this.default, by: "default" };
  }

  /** The versions of what `method` of `url` names, in the order of the routes; none where nothing has one. */
  at(method: string, url: string): readonly string[] {
    const asGet = method === "HEAD" ? "GET" : method;
    const [path = ""] = url.split("?", 1);
    // What no router knows is found by none.
    const found = this.#router.find(asGet as HTTPMethod, path);
    return found === null || hasEmptyParam(found.params) ? [] : (found.store as string[]);
  }

  #add(routes: readonly Route[]): ReadonlySet<string> {
    const all = new Set<string>();
    const byRoute = new Map<string, string[]>();
    for (const { method, path, version } of routes) {
      if (version === undefined) continue;
      const name = `${method} ${path}`;
      const versions = byRoute.get(name) ?? [];
      if (versions.length === 0) this.#router.on(method, path, unused, versions);
      versions.push(version);
      byRoute.set(name, versions);
      all.add(version);
    }
    return all;
  }
}

/**
 * The choice of versions that `routes` ask for; undefined where no route has one.
 * @throws {TypeError} where a route has a version that nobody could ask for.
 */
export function versionChoice(
  options: VersionOptions | undefined,
  routes: readonly Route[],
): VersionChoice | undefined {
  const versioned = routes.find(({ version }) => version !== undefined);
  if (options !== undefined) return new VersionChoice(options, routes);
  if (versioned === undefined) return undefined;
  const { method, path } = versioned;
  throw new TypeError(`Route ${method} ${path} has a version: say by versions how it is asked for`);
}

/** @throws {TypeError} for a version that no header could carry. */
export function checkVersion(version: string | undefined): string | undefined {
  if (version === undefined || versionPattern.test(version)) return version;
  throw new TypeError("version is made of 1 to 32 letters in lower case, digits, _, . and -");
}

function pattern(mediaType: string): RegExp {
  const name = mediaType.replaceAll(/[.\-/]/g, String.raw`\$&`);
  return new RegExp(
    String.raw`(?:^|,)\s*${name}(?:\.v([\w.-]{1,32})\+json|\+json\s*;\s*version="?(\w[\w.-]{0,31}))(?=["\s;,]|$)`,
    "i",
  );
}

// The router is only asked whether it finds something.
function unused(): void {}
