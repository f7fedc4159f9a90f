import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

/** The page's policy, as the server sends it (docs/spec/protocol.md). */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "media-src blob: 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types snug",
].join("; ");

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** Builds the real bundle around the fake client into `folder`. */
export async function buildRoom(folder: string): Promise<void> {
  const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  await build({
    configFile: here("../vite.config.ts"),
    logLevel: "warn",
    resolve: { alias: { "@snug/client/browser": here("./fakeClient.ts") } },
    build: { outDir: folder, emptyOutDir: true },
  });
}

export interface Room extends AsyncDisposable {
  readonly origin: string;
}

/** Serves a built room under the real policy; the cookie `room` says which scenario it plays. */
export async function serveRoom(folder: string): Promise<Room> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/fixture.json") {
      const room = /room=([a-z]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "new";
      response.setHeader("content-type", "application/json").end(JSON.stringify({ room }));
      return;
    }
    const path = extname(pathname) === "" ? "/index.html" : pathname;
    readFile(join(folder, path)).then(
      (bytes) => {
        response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream");
        response.setHeader("content-security-policy", policy).end(bytes);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://localhost:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
