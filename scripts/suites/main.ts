import { runCacheTests } from "./cache-tests.ts";
import { runGraphqlHttp } from "./graphql-http.ts";
import { runH1spec } from "./h1spec.ts";
import { runJsonSchema } from "./json-schema.ts";
import { runStructuredFields } from "./structured-fields.ts";
import { runTraceContext } from "./trace-context.ts";
import type { SuiteScore } from "./score.ts";

// usage: npm run suites [-- NAME…]
// Runs public test suites against a running server and prints what of them passes.

const suites: Readonly<Record<string, () => Promise<SuiteScore | readonly SuiteScore[]>>> = {
  cache: runCacheTests,
  "graphql-http": runGraphqlHttp,
  h1spec: runH1spec,
  "json-schema": runJsonSchema,
  "structured-fields": runStructuredFields,
  "trace-context": runTraceContext,
};

const asked = process.argv.slice(2);
for (const name of asked.length === 0 ? Object.keys(suites) : asked) {
  const run = suites[name];
  if (run === undefined) {
    throw new Error(`There is no suite ${name}; there are ${Object.keys(suites).join(", ")}`);
  }
  for (const { suite, total, failures } of [await run()].flat()) {
    for (const failure of failures) console.log(`  ${failure}`);
    console.log(`${suite}: ${total - failures.length} of ${total}`);
  }
}
