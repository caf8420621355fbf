import { limitPolicy } from "../../edge/index.ts";
import type { Config } from "../config.ts";
import type { CompiledGateway } from "./compile.ts";
import { backendText, stageLines, type StageLine } from "./describe-route.ts";
import { dryRun, type ExplainedRequest, type Verdict } from "./dry-run.ts";
import { pathText } from "./problem.ts";
import { prefixOf } from "./settings.ts";

/** What a gateway does with a request. */
export interface Explanation {
  readonly verdict: Verdict;
  /** Undefined for a request that no route is for. */
  readonly route:
    | {
        /** Where it stands in the configuration. */
        readonly at: string;
        readonly method: string;
        readonly path: string;
        /** Where it ends, and where that runs. */
        readonly backend: string;
        readonly endpoints: readonly string[];
        /** What the upstream is asked for; undefined for a handler. */
        readonly upstreamPath: string | undefined;
      }
    | undefined;
  readonly stages: readonly StageLine[];
}

/** Tells what stages a request passes, and which of them would refuse it now. Nothing is asked, run or written. */
export async function explainRequest(
  gateway: CompiledGateway,
  settings: Config,
  request: ExplainedRequest,
): Promise<Explanation> {
  const verdict = await dryRun(gateway, settings, request);
  const { route } = verdict;
  if (route === undefined) return { verdict, route: undefined, stages: [] };
  const place = gateway.placed.find(({ routes }) => routes.includes(route));
  const entry = place?.entry;
  const everywhere = (gateway.limits?.limits ?? []).map((limit) => limitPolicy(limit, "address"));
  return {
    verdict,
    route: {
      at: pathText(place?.at ?? []),
      method: route.method,
      path: route.path,
      backend: backendText(route, gateway),
      endpoints:
        entry === undefined ? [] : (gateway.config.upstreams[entry.upstream]?.endpoints ?? []),
      upstreamPath: entry && upstreamPath(request.path, prefixOf(entry)),
    },
    stages: stageLines(route, gateway, everywhere),
  };
}

function upstreamPath(path: string, prefix: string | undefined): string {
  if (prefix === undefined || !path.startsWith(prefix)) return path;
  const rest = path.slice(prefix.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
