// Who may import whom, and where platform code may stand: DESIGN's rooms as data. check-dependencies.ts enforces it.
import { isBuiltin } from "node:module";

/** What a package's sources (src/, bin/) may import of ours: a package with its sub-paths, or one sub-path only. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  crypto: ["@snug/protocol"],
  media: [],
  server: ["@snug/protocol", "@snug/media", "@snug/crypto/identity"],
  client: ["@snug/protocol", "@snug/crypto", "@snug/media"],
  cli: ["@snug/protocol", "@snug/client", "@snug/server"],
  web: ["@snug/protocol", "@snug/client"],
};

/** A rule over chains of imports of any length, of values or types, and of worker entries. */
export interface Barrier {
  readonly from: string;
  readonly to: string;
  readonly because: string;
}

/** No file below `from` reaches a file below `to`. */
export const BARRIERS: readonly Barrier[] = [
  {
    from: "packages/server/src/",
    to: "packages/crypto/src/sealing/",
    because: "the server can't import the code that opens anything",
  },
  {
    from: "packages/crypto/src/identity/",
    to: "packages/crypto/src/sealing/",
    because: "identity is the public side, which the server loads",
  },
];

/** A platform: the modules and globals that only it has, and the only places that may use them or import such a place. */
export interface Platform {
  readonly name: string;
  readonly hasModule: (specifier: string) => boolean;
  readonly globals: ReadonlySet<string>;
  readonly places: readonly RegExp[];
}

const TESTS_AND_TOOLS: readonly RegExp[] = [/^packages\/[^/]+\/test\//, /^(testing|bench|docs|scripts)\//];

export const PLATFORMS: readonly Platform[] = [
  {
    name: "Node",
    hasModule: (specifier) => isBuiltin(specifier) || specifier === "ws",
    globals: new Set(["Buffer", "__dirname", "__filename", "global", "process", "require", "setImmediate"]),
    places: [
      ...TESTS_AND_TOOLS,
      /^packages\/(server|cli)\//,
      /^packages\/(client|protocol)\/src\/node\//,
      /^packages\/media\/src\/node\.ts$/,
      /^packages\/web\/vite\.config\.ts$/,
    ],
  },
  {
    name: "browser",
    hasModule: (specifier) => specifier === "idb",
    globals: new Set(["document", "indexedDB", "localStorage", "sessionStorage", "window"]),
    places: [...TESTS_AND_TOOLS, /^packages\/web\//, /^packages\/client\/src\/browser\//],
  },
];

/** Folders named after nothing in particular collect everything. */
export const FORBIDDEN_FOLDERS: ReadonlySet<string> = new Set([
  "common",
  "core",
  "helper",
  "helpers",
  "misc",
  "shared",
  "types",
  "util",
  "utils",
]);
