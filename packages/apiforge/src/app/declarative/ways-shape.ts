import type { RequestMark } from "../../gateway/index.ts";
import type { CanaryConfig, ShadowConfig } from "./gateway-config.ts";
import { fieldName } from "./head-shape.ts";
import { choice, count, leaf, list, object, text, type Shape } from "./shape.ts";

const upstreamName = text("the name of an upstream");
const share = leaf(
  "a share from 0 to 1, such as 0.05",
  (value) => typeof value === "number" && value >= 0 && value <= 1,
);
const mark = object<RequestMark>({ name: text("a name", fieldName), value: text("its value") }, {});
const canary = object<CanaryConfig>(
  { upstream: upstreamName },
  { share, header: mark, cookie: mark },
);
const canaryList = list(canary, "a list of canaries");

/** Where some of a route's requests go. */
export const canariesShape: Shape = (value, path, problems) => {
  canaryList(value, path, problems);
  if (problems.hasAt(path) || !Array.isArray(value)) return;
  const canaries = value as readonly CanaryConfig[];
  for (const [place, { share: own, header, cookie }] of canaries.entries()) {
    if ((own ?? header ?? cookie) !== undefined) continue;
    problems.add([...path, place], "gets no request", "Give it a share, a header or a cookie.");
  }
  if (canaries.reduce((sum, { share: own = 0 }) => sum + own, 0) > 1) {
    problems.add(path, "have shares of more than all requests", "Let their sum be 1 at most.");
  }
};

const shadow = object<ShadowConfig>(
  { upstream: upstreamName },
  { share, maxPending: count(1, 1_000_000) },
);

/** Where copies go. */
export const shadowShape: Shape = choice((value) =>
  value === false ? leaf("false", (it) => it === false) : shadow,
);

/** Whose requests stay with one upstream. */
export const stickyShape: Shape = leaf(
  "principal, client or a function",
  (value) => value === "principal" || value === "client" || typeof value === "function",
);
