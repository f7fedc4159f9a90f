// Enforces dependency-rules.ts on the real import graph: node scripts/check-dependencies.ts [FOLDER]
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { BARRIERS, type Barrier, FORBIDDEN_FOLDERS, MAY_IMPORT, PLATFORMS } from "./dependency-rules.ts";
import { readSource, type SourceFacts } from "./source-facts.ts";

const SOURCES = ["packages/*/*.ts", "packages/*/{src,test,bin}/**/*", "{scripts,testing,bench,docs}/**/*"];

/** An import that leads to another file of ours. Paths are relative to the repository, with slashes. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly line: number;
  readonly worker: boolean;
}

const root = process.argv[2] ?? dirname(import.meta.dirname);
const paths = globSync(SOURCES, { cwd: root, exclude: ["**/node_modules/**", "**/dist/**"] })
  .map((path) => path.replaceAll("\\", "/"))
  .sort();
const sources = new Map(
  paths.filter((path) => /\.(ts|tsx|mjs)$/.test(path)).map((path) => [path, read(path)] as const),
);
const edges = [...sources].flatMap(([path, facts]) => edgesOf(path, facts));
const violations = [
  ...[...sources].flatMap(([path, facts]) => [...wrongImports(path, facts), ...wrongGlobals(path, facts)]),
  ...edges.flatMap(wrongPlace),
  ...BARRIERS.flatMap(crossed),
  ...cycles(),
  ...forbiddenFolders(),
];
for (const violation of violations) process.stdout.write(`${violation}\n`);
process.stdout.write(`${sources.size} files, ${edges.length} imports, ${violations.length} violations\n`);
process.exitCode = violations.length > 0 || sources.size === 0 ? 1 : 0;

function read(path: string): SourceFacts {
  return readSource(path, readFileSync(join(root, path), "utf8"));
}

/** The package whose shipped code (not tests, not configuration) a path is. */
function shippedIn(path: string): string | undefined {
  return /^packages\/([^/]+)\/(?:src|bin)\//.exec(path)?.[1];
}

function wrongImports(path: string, { imports, unfollowable }: SourceFacts): string[] {
  const owner = shippedIn(path);
  if (owner === undefined) return [];
  const allowed = MAY_IMPORT[owner];
  if (!allowed) return [`${path}:1 package ${owner} has no entry in MAY_IMPORT`];
  const found = unfollowable.map(
    (line) => `${path}:${line} imports what no literal names: it can't be followed`,
  );
  for (const { specifier, line, worker } of imports) {
    // A URL that names no source is a folder or an asset: nothing of it is loaded as code.
    if (worker && !/\.[cm]?[jt]sx?$/.test(specifier)) continue;
    const ofOurs = specifier.startsWith("@snug/");
    if (ofOurs && !allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`))) {
      found.push(`${path}:${line} ${owner} may not import ${specifier}`);
    }
    const target = resolve(path, specifier);
    const launcher = path.startsWith(`packages/${owner}/bin/`);
    if (!ofOurs && !launcher && target !== undefined && !target.startsWith(`packages/${owner}/`)) {
      found.push(`${path}:${line} reaches out of its package by ${specifier}: import it by name`);
    }
  }
  return found;
}

function wrongGlobals(path: string, { imports, globals }: SourceFacts): string[] {
  return PLATFORMS.filter(({ places }) => !places.some((place) => place.test(path))).flatMap((platform) => [
    ...[...globals]
      .filter(([name]) => platform.globals.has(name))
      .map(([name, line]) => `${path}:${line} uses ${name}, which only ${platform.name} has`),
    ...imports
      .filter(({ specifier }) => platform.hasModule(specifier))
      .map(({ specifier, line }) => `${path}:${line} imports ${specifier}, which only ${platform.name} has`),
  ]);
}

/** Platform code is entered by platform code only, so no neutral file ever loads it. */
function wrongPlace({ from, to, line }: Edge): string[] {
  if (shippedIn(to) === undefined) return [];
  return PLATFORMS.filter(({ places }) => {
    const isPlace = (path: string): boolean => places.some((place) => place.test(path));
    return isPlace(to) && !isPlace(from);
  }).map(({ name }) => `${from}:${line} imports ${to}, which is ${name} code`);
}

function crossed({ from, to, because }: Barrier): string[] {
  const cameFrom = new Map<string, string | undefined>();
  const queue = [...sources.keys()].filter((path) => path.startsWith(from));
  for (const path of queue) cameFrom.set(path, undefined);
  for (const path of queue) {
    for (const edge of edges) {
      if (edge.from !== path || cameFrom.has(edge.to)) continue;
      cameFrom.set(edge.to, path);
      queue.push(edge.to);
    }
  }
  return [...cameFrom.keys()]
    .filter((path) => path.startsWith(to))
    .map((path) => {
      const chain = [path];
      for (let at = cameFrom.get(path); at !== undefined; at = cameFrom.get(at)) chain.unshift(at);
      return `${chain.join(" → ")}: ${because}`;
    });
}

/** Each file that can reach itself, with one shortest way round. A worker's entry is started, not imported. */
function cycles(): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, worker } of edges) if (!worker) next.set(from, [...(next.get(from) ?? []), to]);
  const reported = new Set<string>();
  return [...next.keys()].flatMap((start) => {
    const ways: string[][] = [[start]];
    const seen = new Set<string>();
    for (const way of ways) {
      for (const to of next.get(way.at(-1) ?? "") ?? []) {
        if (to === start) {
          const members = [...way].sort().join();
          if (reported.has(members)) return [];
          reported.add(members);
          return [`${[...way, start].join(" → ")}: import cycle`];
        }
        if (seen.has(to)) continue;
        seen.add(to);
        ways.push([...way, to]);
      }
    }
    return [];
  });
}

function forbiddenFolders(): string[] {
  const folders = new Set(paths.map((path) => posix.dirname(path)));
  return [...folders]
    .filter((folder) => folder.split("/").some((name) => FORBIDDEN_FOLDERS.has(name)))
    .map((folder) => `${folder}/: a folder with such a name collects everything`);
}

function edgesOf(path: string, { imports }: SourceFacts): Edge[] {
  return imports.flatMap(({ specifier, line, worker }) => {
    const to = resolve(path, specifier);
    return to !== undefined && sources.has(to) ? [{ from: path, to, line, worker }] : [];
  });
}

/** The file of ours that a specifier names; none for a library, a built-in or an asset. */
function resolve(from: string, specifier: string): string | undefined {
  const plain = specifier.replace(/\?.*$/, "");
  if (plain.startsWith(".")) return posix.join(posix.dirname(from), plain);
  const [, name, rest] = /^@snug\/([^/]+)(\/.*)?$/.exec(plain) ?? [];
  if (name === undefined) return undefined;
  const target = exportsOf(name)[`.${rest ?? ""}`];
  return target === undefined ? undefined : posix.join("packages", name, target);
}

function exportsOf(name: string): Readonly<Record<string, string>> {
  const file = join(root, "packages", name, "package.json");
  if (!existsSync(file)) return {};
  const manifest: { exports?: Record<string, string> } = JSON.parse(readFileSync(file, "utf8"));
  return manifest.exports ?? {};
}
