import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type RunningServer, type ServerOptions, StartError, startServer } from "@snug/server";

/** A running server in a folder of its own. */
export interface BootedServer extends RunningServer {
  readonly data: string;
  readonly videos: string;
  /** The options it was started with: for starting another on the same folder. */
  readonly options: ServerOptions;
}

/** A real server on a free port of this computer, in a temporary folder that goes with it. `await using` it. */
export async function bootServer(options: Partial<ServerOptions> = {}): Promise<BootedServer> {
  const folder = await mkdtemp(join(tmpdir(), "snug-server-"));
  const data = options.data ?? join(folder, "data");
  const videos = options.videos ?? join(folder, "videos");
  await mkdir(videos, { recursive: true });
  const all: ServerOptions = { host: "127.0.0.1", port: 0, log: "silent", ...options, data, videos };
  try {
    const server = await startServer(all);
    return {
      ...server,
      data,
      videos,
      options: all,
      [Symbol.asyncDispose]: async () => {
        await server.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw cause;
  }
}

/** Starts a server again, on the folder and the port of one that has ended. Whoever was given the port meanwhile is waited for. */
export async function startAgain({ options, port }: BootedServer): Promise<RunningServer> {
  for (;;) {
    try {
      return await startServer({ ...options, port });
    } catch (cause) {
      if (!(cause instanceof StartError && cause.message.startsWith(`port ${port} is in use`))) throw cause;
    }
    await setTimeout(100);
  }
}
