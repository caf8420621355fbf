import { hash } from "node:crypto";

import { resolver, type OpenApiDocument } from "./document.ts";
import { html, Html } from "./html.ts";
import { methodBadge, operationSection, pathCode, type Operation } from "./operation.ts";
import { style } from "./style.ts";

/** Nothing from anywhere but the page itself: no script, no file, no frame around it. */
export const pageHeaders = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${hash("sha256", style, "base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
} as const;

// In one piece: its hash is that of every character between its tags.
const styleElement = new Html(`<style>${style}</style>`);

const methodOrder = ["get", "post", "put", "patch", "delete"];

/** The reference that people read, made of the document that programs read. It needs no script. */
export function referencePage(document: OpenApiDocument): string {
  const { title, version, description } = document.info;
  const groups = groupsOf(document);
  const resolve = resolver(document);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}: API reference</title>
        ${styleElement}
      </head>
      <body>
        <header class="bar">
          <a href="#top">${title}</a> <a href="#operations">Operations</a>
        </header>
        <nav id="operations" aria-label="Operations">
          <a class="close" href="#top">Close</a>
          <a class="title" href="#top">${title}</a>
          <p class="version">version ${version}</p>
          <ul>
            <li class="plain"><a href="#errors">Errors</a></li>
            <li class="plain"><a href="openapi.json">openapi.json</a></li>
          </ul>
          ${[...groups].map(
            ([name, operations]) =>
              html`<h2>${name}</h2>
                <ul>
                  ${operations.map(navigationItem)}
                </ul>`,
          )}
        </nav>
        <main id="top">
          <h1>${title}</h1>
          ${description !== undefined && html`<p class="lead">${description}</p>`}
          <p class="lead">
            Requests and answers are JSON in UTF-8. Every answer carries <code>X-Request-Id</code>;
            quote it when you report a problem. Writes take an <code>Idempotency-Key</code>: the
            same key with the same request gets the recorded answer.
          </p>
          ${[...groups].map(
            ([name, operations]) =>
              html`<h2 class="group">${name}</h2>
                ${operations.map((operation) => operationSection(operation, resolve))}`,
          )}
          ${errorSection()}
        </main>
      </body>
    </html> `.text;
}

function navigationItem({ operationId, method, path, deprecated }: Operation): Html {
  return html`<li ${deprecated === true ? html`class="old"` : ""}>
    <a href="#${operationId}">${methodBadge(method)}${pathCode(path)}</a>
  </li>`;
}

/** Operations by their first tag, else by the first segment of their path. */
function groupsOf({ paths }: OpenApiDocument): ReadonlyMap<string, readonly Operation[]> {
  const groups = new Map<string, Operation[]>();
  for (const [path, methods] of Object.entries(paths)) {
    const ordered = Object.entries(methods).toSorted(
      ([a], [b]) => methodOrder.indexOf(a) - methodOrder.indexOf(b),
    );
    for (const [method, operation] of ordered) {
      const name = operation.tags?.[0] ?? path.split("/")[1] ?? "";
      const group = groups.get(name) ?? [];
      group.push({ ...operation, method, path });
      groups.set(name, group);
    }
  }
  return groups;
}

const envelope = `{ "error": { "type": "invalid_request_error", "code": "validation_failed",
    "message": "body.name is required", "param": "body.name", "requestId": "req_…" } }`;

function errorSection(): Html {
  return html`<section id="errors">
    <h2 class="group">Errors</h2>
    <p>
      Whatever fails is answered with one envelope. Branch on <code>code</code>, which never changes
      its meaning; <code>param</code> names what is at fault. With
      <code>Accept: application/problem+json</code> the same facts come as RFC 9457.
    </p>
    <pre><code>${envelope}</code></pre>
  </section>`;
}
