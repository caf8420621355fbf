import { parseSync, Visitor } from "oxc-parser";

/** One place where a file names another module. */
export interface Import {
  /** As written, or undefined when it is computed at run time. */
  readonly specifier: string | undefined;
  /** `types` leaves nothing behind at run time; `on-demand` is `import()`. */
  readonly load: "at-start" | "on-demand" | "types";
  /** 1-based. */
  readonly line: number;
}

/**
 * Every import of a TypeScript or JavaScript source: statements, re-exports, `import()` and
 * `typeof import()` types. `import { type A } from "x"` counts as loaded at the start, because type
 * stripping leaves `import {} from "x"`.
 * @throws {SyntaxError} when the source does not parse.
 */
export function importsOf(fileName: string, source: string): Import[] {
  const { program, errors } = parseSync(fileName, source);
  const [error] = errors;
  if (error !== undefined) throw new SyntaxError(`${fileName}: ${error.message}`);

  const found: Import[] = [];
  const add = (specifier: string | undefined, load: Import["load"], offset: number) => {
    found.push({ specifier, load, line: source.slice(0, offset).split("\n").length });
  };
  new Visitor({
    ImportDeclaration(node) {
      add(node.source.value, node.importKind === "type" ? "types" : "at-start", node.start);
    },
    ExportNamedDeclaration(node) {
      if (node.source === null) return;
      add(node.source.value, node.exportKind === "type" ? "types" : "at-start", node.start);
    },
    ExportAllDeclaration(node) {
      add(node.source.value, node.exportKind === "type" ? "types" : "at-start", node.start);
    },
    ImportExpression(node) {
      const { source: target } = node;
      const isText = target.type === "Literal" && typeof target.value === "string";
      add(isText ? target.value : undefined, "on-demand", node.start);
    },
    TSImportType(node) {
      add(node.source.value, "types", node.start);
    },
  }).visit(program);
  return found;
}
