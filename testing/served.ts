import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What `snug serve --json` says first. */
export interface Listening {
  readonly event: "listening";
  readonly url: string;
  readonly setupLink: string | null;
  readonly fingerprint: string;
  readonly localUrl: string;
  readonly serverId: string;
}

interface How {
  /** The data folder. */
  readonly data: string;
  readonly videos: string;
  /** A command that runs the server in its own place, by exec. */
  readonly under: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

interface Started {
  readonly child: ChildProcess;
  readonly listening: Listening;
  readonly log: string;
}

/** A server in a process of its own, started as a user starts it: the entry itself, never through npm. */
export class ServedServer implements AsyncDisposable {
  readonly folder: string;
  readonly videos: string;
  listening: Listening;
  /** Everything it wrote to stderr: its log. */
  log = "";
  readonly #how: How;
  #process: ChildProcess;

  private constructor(folder: string, how: How, { child, listening }: Started) {
    this.folder = folder;
    this.videos = how.videos;
    this.#how = how;
    this.#process = child;
    this.listening = listening;
  }

  static async start(of: Partial<How> & { readonly port?: number } = {}): Promise<ServedServer> {
    const folder = await mkdtemp(join(tmpdir(), "snug-served-"));
    const { port = 0, ...given } = of;
    const how = {
      data: join(folder, "data"),
      videos: join(root, "videos"),
      under: [],
      environment: {},
      ...given,
    };
    try {
      const started = await run(how, port);
      const served = new ServedServer(folder, how, started);
      served.#keep(started.child, started.log);
      return served;
    } catch (cause) {
      await rm(folder, { recursive: true, force: true });
      throw cause;
    }
  }

  get port(): number {
    return Number(new URL(this.listening.url).port);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Ends the server's own process by the signal and starts it again on the same folder and port. */
  async restart(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const port = this.port;
    await this.stop(signal);
    const { child, listening, log } = await runOn(this.#how, port);
    this.#process = child;
    this.listening = listening;
    this.#keep(child, log);
  }

  /** Resolves with the exit code once the process has ended and all that it said is in the log; null after a kill. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return this.#process.exitCode;
    const ended = new Promise<number | null>((resolve) => this.#process.once("close", resolve));
    this.#process.kill(signal);
    return ended;
  }

  #keep(child: ChildProcess, before: string): void {
    this.log += before;
    child.stderr?.on("data", (piece: Buffer) => {
      this.log += piece.toString();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** base64 SHA-256 of the public key that the server shows on this port: what a browser may be told to trust. */
export async function spkiOf(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
    if (!key) throw new Error("no certificate shown");
    return createHash("sha256").update(key).digest("base64");
  } finally {
    socket.destroy();
  }
}

/** Whoever was given the port, since it was free for a moment, is waited for. */
async function runOn(how: How, port: number): Promise<Started> {
  for (;;) {
    try {
      return await run(how, port);
    } catch (cause) {
      if (!(cause instanceof Error && cause.message.includes(`port ${port} is in use`))) throw cause;
    }
    await setTimeout(100);
  }
}

async function run({ data, videos, under, environment }: How, port: number): Promise<Started> {
  const [command = "", ...args] = [
    ...[...under, process.execPath, join(root, "packages/cli/bin/snug.mjs"), "serve", "--json"],
    ...["--port", String(port), "--data", data, "--videos", videos],
  ];
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  let log = "";
  const onLog = (piece: Buffer) => {
    log += piece.toString();
  };
  child.stderr.on("data", onLog);
  const lines = createInterface({ input: child.stdout });
  const first = await new Promise<string>((resolve, reject) => {
    lines.once("line", resolve);
    // Behind "exit", by when what it said may not be read yet.
    child.once("close", (code) =>
      reject(new Error(`the server ended with ${code} before it listened:\n${log}`)),
    );
  });
  child.stderr.off("data", onLog);
  return { child, listening: JSON.parse(first) as Listening, log };
}
