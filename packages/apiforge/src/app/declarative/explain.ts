import { limitPolicy } from "../../edge/index.ts";
import { markedCanary } from "../../gateway/index.ts";
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
        /** Where it ends, a canary that the request asks for by a field or cookie included, and where that runs. */
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
  const canary = markedCanary(place?.options?.canaries ?? [], request.headers);
  const everywhere = (gateway.limits?.limits ?? []).map((limit) => limitPolicy(limit, "address"));
  return {
    verdict,
    route: {
      at: pathText(place?.at ?? []),
      method: route.method,
      path: route.path,
      backend:
        canary === undefined ? backendText(route, gateway) : `upstream ${canary.upstream.name}`,
      endpoints: endpointsOf(gateway, canary?.upstream.name ?? entry?.upstream),
      upstreamPath:
        entry && upstreamPath(request.path, "grpc" in entry ? undefined : prefixOf(entry)),
    },
    stages: stageLines(route, gateway, everywhere),
  };
}

function endpointsOf({ config }: CompiledGateway, upstream: string | undefined): readonly string[] {
  return upstream === undefined ? [] : (config.upstreams[upstream]?.endpoints ?? []);
}

function upstreamPath(path: string, prefix: string | undefined): string {
  if (prefix === undefined || !path.startsWith(prefix)) return path;
  const rest = path.slice(prefix.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
