import type { Metric, Sample } from "../../../kernel/index.ts";

/** Content type of {@link renderMetrics}: Prometheus text format 0.0.4. */
export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

/** `metrics` in Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats). */
export function renderMetrics(metrics: readonly Metric[]): string {
  return metrics.map(renderMetric).join("");
}

function renderMetric({ name, help, type, samples }: Metric): string {
  if (samples.length === 0) return "";
  const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
  return head + samples.map((sample) => renderSample(name, sample)).join("");
}

function renderSample(name: string, { suffix = "", labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${suffix}${pairs.length === 0 ? "" : `{${pairs.join()}}`} ${renderNumber(value)}\n`;
}

function renderNumber(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", String.raw`\\`).replaceAll("\n", String.raw`\n`);
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', String.raw`\"`);
}
