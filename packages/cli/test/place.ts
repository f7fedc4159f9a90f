import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** The real entry; tests start it with node, never through npm, which swallows signals. */
export const entry: string = fileURLToPath(new URL("../bin/snug.mjs", import.meta.url));
/** The folder of the sample title. */
export const sampleVideos: string = fileURLToPath(new URL("../../../videos", import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly home?: string;
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  /** Flags of node itself, before the entry. */
  readonly node?: readonly string[];
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface TestServer extends AsyncDisposable {
  readonly child: Child;
  /** The first line of stdout, parsed. */
  readonly listening: {
    readonly event: string;
    readonly url: string;
    readonly localUrl: string;
    readonly port: number;
    readonly serverId: string;
    readonly setupLink: string | null;
    readonly fingerprint: string;
  };
  /** Every line of stdout so far. */
  readonly lines: readonly string[];
  /** Sends the signal; resolves with the exit code and how long the end took, as many ms or as a part of the start. */
  stop(signal: NodeJS.Signals): Promise<{
    readonly code: number | null;
    readonly took: { readonly ms: number; readonly starts: number };
  }>;
}

/** A folder of its own in which commands run. */
export interface Place extends AsyncDisposable {
  readonly folder: string;
  path(...parts: string[]): string;
  start(args: readonly string[], options?: RunOptions): Child;
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** {@link run} that must succeed; its stdout without the final newline. */
  ok(args: readonly string[], options?: RunOptions): Promise<string>;
  serve(args?: readonly string[], options?: RunOptions): Promise<TestServer>;
}

export async function createPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "snug-cli-"));
  await mkdir(join(folder, "videos"));
  const start = (args: readonly string[], options: RunOptions = {}): Child => {
    const home = options.home === undefined ? {} : { SNUG_HOME: join(folder, options.home) };
    const env = { PATH: process.env.PATH, HOME: folder, ...home, ...options.env };
    return spawn(process.execPath, [...(options.node ?? []), entry, ...args], {
      cwd: folder,
      env,
      stdio: ["pipe", "pipe", "pipe"],
    });
  };
  const run = async (args: readonly string[], options: RunOptions = {}): Promise<Ran> => {
    const child = start(args, options);
    // A command that refuses its flags may have ended before it is given anything.
    child.stdin.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
    child.stdin.end(options.input ?? "");
    const [stdout, stderr, [code]] = await Promise.all([
      textFrom(child.stdout),
      textFrom(child.stderr),
      once(child, "close") as Promise<[number | null]>,
    ]);
    return { code, stdout, stderr };
  };
  return {
    folder,
    path: (...parts) => join(folder, ...parts),
    start,
    run,
    async ok(args, options) {
      const { code, stdout, stderr } = await run(args, options);
      assert.equal(code, 0, `snug ${args.join(" ")}: ${stderr}`);
      return stdout.replace(/\n$/, "");
    },
    serve: (args = [], options) => startServer(start(["serve", "--json", "--port", "0", ...args], options)),
    // What a program that was killed had started may write for a moment longer.
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 10 }),
  };
}

async function startServer(child: Child): Promise<TestServer> {
  const began = performance.now();
  const lines: string[] = [];
  const errors = textFrom(child.stderr);
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => lines.push(line));
  const closed = once(child, "close") as Promise<[number | null]>;
  const first = await Promise.race([once(reader, "line"), closed]);
  if (lines.length === 0) throw new Error(`the server ended with ${first[0]}: ${await errors}`);
  const starting = performance.now() - began;
  const stop: TestServer["stop"] = async (signal) => {
    const before = performance.now();
    child.kill(signal);
    const [code] = await closed;
    const ms = performance.now() - before;
    return { code, took: { ms, starts: ms / starting } };
  };
  return {
    child,
    listening: JSON.parse(lines[0] ?? ""),
    lines,
    stop,
    async [Symbol.asyncDispose]() {
      await stop("SIGKILL");
    },
  };
}

/** Everything that a stream says, as text. */
async function textFrom(stream: Readable): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** What a stream says until it has said `words`; fails when it ends before. The stream goes on flowing. */
export async function textUntil(stream: Readable, words: RegExp): Promise<string> {
  let text = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.on("data", (chunk) => {
    text += chunk;
    if (words.test(text)) resolve();
  });
  stream.once("close", () => reject(new Error(`ended before ${words}: ${text}`)));
  await promise;
  return text;
}

/** One line of stderr and nothing on stdout: what a refused command looks like. */
export function assertRefused(ran: Ran, code: number, words: RegExp): void {
  assert.equal(ran.code, code, ran.stderr);
  assert.equal(ran.stdout, "");
  assert.match(ran.stderr, words);
  assert.match(ran.stderr, /^snug: [^\n]+\n$/);
}
