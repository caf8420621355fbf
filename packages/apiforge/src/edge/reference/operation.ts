import type { ContentObject, OperationObject, ParameterObject, Resolve } from "./document.ts";
import { html, type Html } from "./html.ts";
import { notes, schemaTree, typeName } from "./schema-tree.ts";

/** One operation with its place. */
export interface Operation extends OperationObject {
  /** In lower case. */
  readonly method: string;
  readonly path: string;
}

/** The word for a method, in its colour. */
export function methodBadge(method: string): Html {
  return html`<span class="method ${method}">${method.toUpperCase()}</span>`;
}

/** A path with its parameters set apart, which is broken between segments only. */
export function pathCode(path: string): Html {
  const segments = path.split(/(?=\/)/).map((segment) => {
    const parts = segment.split(/(\{\w+\})/);
    return html`<span
      >${parts.map((part) => (part.startsWith("{") ? html`<b>${part}</b>` : part))}</span
    >`;
  });
  return html`<code class="path">${segments}</code>`;
}

/** What one operation takes and answers. */
export function operationSection(operation: Operation, resolve: Resolve): Html {
  const { method, path, summary, deprecated, operationId } = operation;
  return html`<section class="operation" id="${operationId}">
    <header>
      <h3>
        <a href="#${operationId}">${methodBadge(method)}${pathCode(path)}</a>
      </h3>
      ${summary !== undefined && html`<p class="summary">${summary}</p>`}
      <p class="facts">
        ${deprecated === true && html`<span class="fact warn">deprecated</span>`}
        ${access(operation)}
      </p>
    </header>
    ${parameterTable(operation.parameters.map(resolve), resolve)} ${body(operation, resolve)}
    ${answers(operation, resolve)} ${example(operation)}
  </section>`;
}

function access({ security }: OperationObject): Html {
  const scopes = security.flatMap(({ bearer = [] }) => bearer);
  if (security.length === 0) return html`<span class="fact">no token needed</span>`;
  const needs = security.length > 1 ? "bearer token, if there is one" : "bearer token";
  return html`<span class="fact">${needs}</span> ${scopes.map(
      (scope) => html`<span class="fact">scope <code>${scope}</code></span> `,
    )}`;
}

// Every operation takes it, so it would be said everywhere.
const everywhere = new Set(["X-Request-Id"]);

function parameterTable(
  parameters: readonly ParameterObject[],
  resolve: Resolve,
): Html | undefined {
  const own = parameters.filter(({ name }) => !everywhere.has(name));
  if (own.length === 0) return undefined;
  return html`<h4>Parameters</h4>
    <ul class="fields">
      ${own.map((parameter) => parameterRow(parameter, resolve))}
    </ul>`;
}

function parameterRow(parameter: ParameterObject, resolve: Resolve): Html {
  const { name, in: place, required, description, schema = {} } = parameter;
  return html`<li>
    <code class="name">${name}</code> <span class="type">${typeName(schema, resolve)}</span>
    <span class="place">${place}</span>
    ${required === true ? "" : html`<span class="optional">optional</span>`}
    ${notes(resolve(schema))}
    ${description !== undefined && html`<span class="note">${description}</span>`}
  </li>`;
}

function body({ requestBody }: OperationObject, resolve: Resolve): Html | undefined {
  if (requestBody === undefined) return undefined;
  return html`<h4>Body</h4>
    ${contents(requestBody.content, resolve)}`;
}

function contents(content: ContentObject, resolve: Resolve): Html {
  return html`${Object.entries(content).map(([type, { schema = {} }]) => {
    const tree = schemaTree(schema, resolve);
    return html`<p class="media">
        <code>${type}</code> ${tree === undefined && typeName(schema, resolve)}
      </p>
      ${tree}`;
  })}`;
}

function answers({ responses }: OperationObject, resolve: Resolve): Html {
  const own = Object.entries(responses).filter(([status]) => !status.endsWith("XX"));
  return html`<h4>Answers</h4>
    ${own.map(([status, response], index) => {
      const { description = "", content = {} } = resolve(response);
      const head = html`<span class="status s${status.slice(0, 1)}">${status}</span>
        ${description}`;
      if (Object.keys(content).length === 0) return html`<p class="answer">${head}</p>`;
      return html`<details class="answer" ${index === 0 ? html`open` : ""}>
        <summary>${head}</summary>
        ${contents(content, resolve)}
      </details>`;
    })}
    <p class="answer quiet"><a href="#errors">4xx, 5xx</a> the error envelope</p>`;
}

/** A line for a shell, which shows what must be sent. */
function example(operation: Operation): Html {
  const { method, path, security, requestBody } = operation;
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}"$API${path}"`];
  if (security.length === 1) parts.push('-H "Authorization: Bearer $TOKEN"');
  const [type] = Object.keys(requestBody?.content ?? {});
  if (type !== undefined) parts.push(`-H "Content-Type: ${type}"`, "-d @body");
  return html`<h4>Call</h4>
    <pre><code>${parts.join(" \\\n  ")}</code></pre>`;
}
