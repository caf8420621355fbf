import type { HeadChanges, ProxyOptions, ResponseCache } from "../../gateway/index.ts";

/** What is done between the stages of a route and its upstream, in words. Never a field's value: it may be a secret. */
export function wayTexts({ cache, request, response }: ProxyOptions): string[] {
  return [
    ...(cache === undefined ? [] : [cacheText(cache)]),
    ...headTexts("request", request?.headers),
    ...headTexts("answer", response?.headers),
  ];
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
