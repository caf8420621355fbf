import type {
  Canary,
  HeadChanges,
  ProxyOptions,
  ResponseCache,
  ShadowOptions,
  StickyBy,
} from "../../gateway/index.ts";

/** What is done between the stages of a route and its upstream, in words. Never a field's value: it may be a secret. */
export function wayTexts({
  cache,
  canaries = [],
  stickyBy,
  shadow,
  request,
  response,
}: ProxyOptions): string[] {
  return [
    ...(cache === undefined ? [] : [cacheText(cache)]),
    ...canaries.map(canaryText),
    ...(stickyBy === undefined ? [] : [stickyText(stickyBy)]),
    ...(shadow === undefined ? [] : [shadowText(shadow)]),
    ...headTexts("request", request?.headers),
    ...headTexts("answer", response?.headers),
  ];
}

function canaryText({ upstream, share, header, cookie }: Canary): string {
  const parts = [
    ...(header === undefined ? [] : [`those with its header ${header.name}`]),
    ...(cookie === undefined ? [] : [`those with its cookie ${cookie.name}`]),
    ...(share === undefined ? [] : [`${percent(share)} of the requests`]),
  ];
  return `canary ${upstream.name}: ${parts.join(", ")}`;
}

function stickyText(stickyBy: StickyBy): string {
  const whose = typeof stickyBy === "function" ? "what a function answers" : stickyBy;
  return `one upstream for each ${whose}`;
}

function shadowText({ upstream, share = 1 }: ShadowOptions): string {
  return `copies to ${upstream.name}: ${percent(share)} of the requests`;
}

function percent(share: number): string {
  return `${(share * 100).toLocaleString("en-US", { maximumFractionDigits: 2 })} %`;
}

function cacheText({ name, maxBytes, store }: ResponseCache): string {
  const [all, each] = [maxBytes, store.maxEntryBytes].map((bytes) => bytes.toLocaleString("en-US"));
  return `cache ${name}: ${all} bytes, ${each} an answer`;
}

function headTexts(what: string, changes: HeadChanges | undefined): string[] {
  const { set = {}, remove = [] } = changes ?? {};
  const names = Object.keys(set);
  const parts = [
    ...(names.length === 0 ? [] : [`sets ${names.join(", ")}`]),
    ...(remove.length === 0 ? [] : [`removes ${remove.join(", ")}`]),
  ];
  return parts.length === 0 ? [] : [`${what}: ${parts.join("; ")}`];
}
