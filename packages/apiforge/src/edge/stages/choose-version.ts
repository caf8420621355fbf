import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { addToList } from "../list-header.ts";
import type { Outgoing } from "../outgoing.ts";
import type { Stage } from "../stage.ts";
import type { VersionChoice } from "../versions/version-choice.ts";

/**
 * The stage that tells which version answers and what that depends on, and refuses a version that
 * there is none of: 400 `unknown_version`, or 406 `not_acceptable` where `Accept` asked for it.
 */
export function chooseVersion(choice: VersionChoice | undefined): Stage {
  return function chooseVersionOf(route) {
    if (choice === undefined) return undefined;
    if (route === undefined) return { enter: (exchange) => refuseUnknown(choice, exchange) };
    const { version } = route;
    if (version === undefined) return undefined;
    return { leave: (exchange, answer) => tell(choice, version, exchange, answer) };
  };
}

function refuseUnknown(choice: VersionChoice, exchange: Exchange): void {
  const { request } = exchange;
  if (!request.is404) return;
  const versions = choice.at(request.method, request.url);
  if (versions.length === 0) return;
  exchange.setHeader("vary", choice.vary);
  const there = `This path has version ${versions.join(", ")}`;
  if (choice.asked(request).by === "mediaType") throw edgeError("not_acceptable", there);
  throw edgeError("unknown_version", there, { param: `headers.${choice.header}` });
}

const json = "application/json;";

function tell(
  choice: VersionChoice,
  version: string,
  exchange: Exchange,
  outgoing: Outgoing,
): Outgoing {
  exchange.setHeader(choice.header, version);
  const typed = asAsked(choice, version, exchange, outgoing);
  return addToList(exchange, typed, "vary", choice.vary);
}

/** JSON that was asked for as a version of the media type is that type. */
function asAsked(
  choice: VersionChoice,
  version: string,
  exchange: Exchange,
  outgoing: Outgoing,
): Outgoing {
  const { answer } = outgoing;
  const type = answer.headers["content-type"];
  if (choice.mediaType === undefined || answer.status >= 400 || type?.startsWith(json) !== true) {
    return outgoing;
  }
  if (choice.asked(exchange.request).by !== "mediaType") return outgoing;
  const own = `${choice.mediaType}.v${version}+json;${type.slice(json.length)}`;
  return {
    ...outgoing,
    answer: { ...answer, headers: { ...answer.headers, "content-type": own } },
  };
}
