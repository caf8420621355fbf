/** What fills the query of a URL: undefined is left out, a list repeats its name. */
export type Query = Readonly<Record<string, unknown>>;

/**
 * The URL of `path`, whose `:name` segments are filled from `params`.
 * @throws {TypeError} for a path that leads to another origin, which must not see the token, a
 * parameter that is missing, or a query value that is no string, number or boolean.
 */
export function buildUrl(
  baseUrl: string,
  path: string,
  params: Readonly<Record<string, unknown>> | undefined,
  query: Query | undefined,
): string {
  // Browsers read a backslash as a slash, and two of them as the start of a host.
  if (!/^\/(?![/\\])/.test(path)) {
    throw new TypeError(`${path} is not a path of the API; it must begin with one slash`);
  }
  const filled = params === undefined ? path : fillParams(path, params);
  const search = queryString(query ?? {});
  if (search === "") return baseUrl + filled;
  return `${baseUrl}${filled}${filled.includes("?") ? "&" : "?"}${search}`;
}

function fillParams(path: string, params: Readonly<Record<string, unknown>>): string {
  return path.replaceAll(/(?<=\/):([A-Za-z]\w*)/g, (_, name: string) => {
    const text = textOf(`params.${name}`, params[name]);
    // Browsers resolve these away, encoded or not: the request would go to another route.
    if (text === "" || text === "." || text === "..") {
      throw new TypeError(`params.${name} must not be ${text === "" ? "empty" : text}`);
    }
    return encodeURIComponent(text);
  });
}

function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      search.append(name, textOf(`query.${name}`, one));
    }
  }
  return search.toString();
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new TypeError(`${name} must be a string, a number or a boolean`);
}
