import { expect, test } from "vitest";

import { responseType } from "../src/graphql/media-type.ts";

const own = "application/graphql-response+json";
const json = "application/json";

test.for([
  [undefined, json],
  ["*/*", json],
  ["text/html", json],
  [json, json],
  [own, own],
  [`${own}; charset=utf-8, ${json}; q=0.9`, own],
  [`${json}, ${own}`, own],
  [`${own};q=0.5, ${json}`, json],
  [`${own};q=0, ${json};q=0`, json],
  ["Application/GraphQL-Response+JSON", own],
] as const)("Accept: %s is answered as %s", ([accept, type]) => {
  expect(responseType(accept)).toBe(type);
});
