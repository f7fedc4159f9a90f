import { hash as digest } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { invitePath } from "@snug/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".woff2": "font/woff2",
};

const unpack = promisify(gunzip);
/** `q=0` is a refusal (RFC 9110 §12.5.3). */
const takesGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/;

interface BundleFile {
  readonly type: string;
  readonly body: Buffer;
  /** Whether the body is compressed. */
  readonly gzip: boolean;
  /** Unpacked at the first request that takes no gzip, for all of them: a stream for each would be memory for each stranger. */
  plain?: Promise<Buffer>;
  readonly etag: string;
}

/**
 * The files of the built web client by URL path. What is not in this map does not exist: no path reaches the disk. What
 * the build has compressed is kept in that form only.
 */
export async function readBundle(folder: string): Promise<ReadonlyMap<string, BundleFile>> {
  const bundle = new Map<string, BundleFile>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = new Set(
    entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)),
  );
  for (const path of paths) {
    const type = types[extname(path)];
    if (type === undefined) continue;
    const gzip = paths.has(`${path}.gz`);
    const body = await readFile(gzip ? `${path}.gz` : path);
    const url = `/${relative(folder, path).split(sep).join("/")}`;
    bundle.set(url, { type, body, gzip, etag: `"${digest("sha256", body, "base64url").slice(0, 22)}"` });
  }
  return bundle;
}

/** The page's own addresses: a reload or a bookmark of one shows the page, which finds its way itself. */
const pagePaths = [
  "/",
  invitePath,
  "/chats",
  "/chats/:account",
  "/watch",
  "/watch/:title",
  "/people",
  "/settings",
];

/** Serves the bundle; the page's addresses show its page. */
export function bundleRoutes(app: FastifyInstance, bundle: ReadonlyMap<string, BundleFile>): void {
  for (const [path, file] of bundle) {
    app.get(path, (request, reply) => sendFile(request, reply, { path, file }));
  }
  const page = bundle.get("/index.html");
  for (const path of pagePaths) {
    app.get(path, (request, reply) =>
      page
        ? sendFile(request, reply, { path, file: page })
        : reply.code(404).type("text/plain").send("The web client is not built.\n"),
    );
  }
}

async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  of: { readonly path: string; readonly file: BundleFile },
): Promise<FastifyReply> {
  const { file, path } = of;
  // Names below /assets/ carry their content's hash.
  const lasting = path.startsWith("/assets/");
  reply.header("cache-control", lasting ? "public, max-age=31536000, immutable" : "no-cache");
  reply.header("etag", file.etag).header("vary", "accept-encoding").type(file.type);
  if (request.headers["if-none-match"] === file.etag) return reply.code(304).send();
  if (!file.gzip) return reply.send(file.body);
  if (takesGzip.test(String(request.headers["accept-encoding"] ?? ""))) {
    return reply.header("content-encoding", "gzip").send(file.body);
  }
  file.plain ??= unpack(file.body);
  return reply.send(await file.plain);
}
