// What a source file says about itself, read from its syntax tree: what it imports and which globals it touches.
import { parseAst } from "vite";

/** One import, of a value or of types only; `worker` when it is a URL beside the file (worker entries). */
export interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly worker: boolean;
}

export interface SourceFacts {
  readonly imports: readonly Import[];
  /** Names that the file uses and does not declare anywhere, with the line of the first use. */
  readonly globals: ReadonlyMap<string, number>;
  /** Lines of import(), import.meta.resolve() or new URL(…, import.meta.url) whose target stands in no literal. */
  readonly unfollowable: readonly number[];
}

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** @throws SyntaxError for a file that does not parse */
export function readSource(file: string, text: string): SourceFacts {
  const lang = file.endsWith(".tsx") ? "tsx" : file.endsWith(".ts") ? "ts" : "js";
  const reader = new Reader(text);
  reader.visit(parseAst(text, { lang }), undefined, "");
  return reader.facts();
}

const DECLARING: Readonly<Record<string, readonly string[]>> = {
  VariableDeclarator: ["id"],
  FunctionDeclaration: ["id", "params"],
  FunctionExpression: ["id", "params"],
  ArrowFunctionExpression: ["params"],
  TSFunctionType: ["params"],
  TSMethodSignature: ["params"],
  TSDeclareFunction: ["id", "params"],
  ClassDeclaration: ["id"],
  CatchClause: ["param"],
  ImportSpecifier: ["local"],
  ImportDefaultSpecifier: ["local"],
  ImportNamespaceSpecifier: ["local"],
};

/** Where an identifier is a name and not a use: `a.NAME`, `{ NAME: 1 }`, `import { NAME as b }`. */
const NAMING: ReadonlySet<string> = new Set([
  "MemberExpression.property",
  "Property.key",
  "MethodDefinition.key",
  "PropertyDefinition.key",
  "TSPropertySignature.key",
  "TSMethodSignature.key",
  "TSQualifiedName.right",
  "ImportSpecifier.imported",
  "ExportSpecifier.exported",
  "TSNamedTupleMember.label",
  "MetaProperty.meta",
  "MetaProperty.property",
]);

class Reader {
  readonly #text: string;
  readonly #imports: Import[] = [];
  readonly #used = new Map<string, number>();
  readonly #declared = new Set<string>();
  readonly #unfollowable: number[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  facts(): SourceFacts {
    const globals = new Map([...this.#used].filter(([name]) => !this.#declared.has(name)));
    return { imports: this.#imports, globals, unfollowable: this.#unfollowable };
  }

  visit(value: unknown, parent: SyntaxNode | undefined, key: string): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, parent, key);
    } else if (isNode(value)) {
      this.#note(value, parent, key);
      for (const [childKey, child] of Object.entries(value)) this.visit(child, value, childKey);
    }
  }

  #note(node: SyntaxNode, parent: SyntaxNode | undefined, key: string): void {
    for (const part of DECLARING[node.type] ?? []) this.#declare(node[part]);
    switch (node.type) {
      case "ImportDeclaration":
      case "ExportNamedDeclaration":
      case "ExportAllDeclaration":
        if (node.source) this.#import(node.source, node, false);
        break;
      case "ImportExpression":
      case "TSImportType":
        this.#import(node.source, node, false);
        break;
      case "CallExpression":
        if (/^import\.meta\.resolve$/.test(this.#source(node.callee))) this.#import(first(node), node, false);
        break;
      case "NewExpression":
        if (/^URL\(.*import\.meta\.url\s*,?\s*\)$/s.test(this.#source(node).replace(/^new\s+/, ""))) {
          this.#import(first(node), node, true);
        }
        break;
      case "Identifier":
        if (!isName(parent, key)) this.#use(node);
        break;
      case "MemberExpression":
        if (this.#source(node.object) === "globalThis" && isNode(node.property)) this.#use(node.property);
        break;
    }
  }

  #import(target: unknown, node: SyntaxNode, worker: boolean): void {
    const specifier = isNode(target) && target.type === "Literal" ? target.value : undefined;
    if (typeof specifier === "string") this.#imports.push({ specifier, line: this.#line(node), worker });
    else this.#unfollowable.push(this.#line(node));
  }

  #use(node: SyntaxNode): void {
    if (typeof node.name === "string" && !this.#used.has(node.name))
      this.#used.set(node.name, this.#line(node));
  }

  /** Notes the names that a pattern binds: plain, with default, taken apart, or the rest. */
  #declare(pattern: unknown): void {
    if (Array.isArray(pattern)) {
      for (const item of pattern) this.#declare(item);
    } else if (isNode(pattern)) {
      if (pattern.type === "Identifier" && typeof pattern.name === "string") this.#declared.add(pattern.name);
      else if (pattern.type === "Property") this.#declare(pattern.value);
      else
        for (const part of ["left", "argument", "elements", "properties", "parameter"])
          this.#declare(pattern[part]);
    }
  }

  #source(node: unknown): string {
    return isNode(node) && typeof node.end === "number" ? this.#text.slice(node.start, node.end) : "";
  }

  #line(node: SyntaxNode): number {
    return this.#text.slice(0, node.start).split("\n").length;
  }
}

function first(call: SyntaxNode): unknown {
  return Array.isArray(call.arguments) ? call.arguments[0] : undefined;
}

function isName(parent: SyntaxNode | undefined, key: string): boolean {
  return parent !== undefined && NAMING.has(`${parent.type}.${key}`) && parent.computed !== true;
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}
