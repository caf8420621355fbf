import { jsonAnswer, type Answer, type ReceivedRequest } from "./exchange.ts";
import type { ControlResource, Provider } from "./provider.ts";

const prefix = "/_sandbox/";

/** A control request that cannot be carried out as it is written; answered with 400. */
export class ControlError extends Error {
  override readonly name = "ControlError";
}

/** True for the paths of the control API. */
export function isControlPath(path: string): boolean {
  return path.startsWith(prefix);
}

/** Carries out `GET|PUT|DELETE /_sandbox/<provider>/<resource>`. */
export function answerControl(request: ReceivedRequest, providers: readonly Provider[]): Answer {
  const [name = "", resourceName = "", ...rest] = request.path.slice(prefix.length).split("/");
  const controls = providers.find((provider) => provider.name === name)?.controls ?? {};
  const resource = Object.hasOwn(controls, resourceName) ? controls[resourceName] : undefined;
  if (resource === undefined || rest.length > 0) {
    return jsonAnswer(404, { error: "Unknown control path", known: controlPaths(providers) });
  }
  return runControl(request, resource);
}

function runControl(request: ReceivedRequest, resource: ControlResource): Answer {
  const handler = Object.entries(resource).find(([method]) => method === request.method)?.[1];
  if (handler === undefined) {
    const allow = Object.keys(resource).join(", ");
    const answer = jsonAnswer(405, { error: `Use one of ${allow}` });
    return { ...answer, headers: { ...answer.headers, allow } };
  }
  try {
    const result = handler(request.method === "PUT" ? parseJson(request.body) : undefined);
    return result === undefined ? { status: 204, headers: {}, body: "" } : jsonAnswer(200, result);
  } catch (error) {
    if (error instanceof ControlError) return jsonAnswer(400, { error: error.message });
    throw error;
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new ControlError("The body is not JSON");
  }
}

function controlPaths(providers: readonly Provider[]): string[] {
  return providers.flatMap((provider) =>
    Object.keys(provider.controls).map((resource) => `${prefix}${provider.name}/${resource}`),
  );
}
