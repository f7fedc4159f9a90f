import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CommandError, exitCodes } from "./exit.ts";

/** What mpv is given. */
export interface Playback {
  readonly url: string;
  /** The window's title. */
  readonly name: string;
  /** File of the server's own TLS authority (PEM); null where the system's list decides. */
  readonly authority: string | null;
  /** Keeps mpv away from our terminal. */
  readonly quiet: boolean;
  /** Ends mpv. */
  readonly signal: AbortSignal;
}

/** mpv's exit code for an end by a signal or Ctrl-C: the person's wish. */
const endedBySignal = 4;

/**
 * Plays with mpv until it ends. The name goes in as one argument's value, never through a shell.
 * Throws CommandError 1 when mpv is missing or fails.
 */
export async function playWithMpv(of: Playback): Promise<void> {
  const child = spawn("mpv", mpvArguments(of), { stdio: of.quiet ? "ignore" : "inherit" });
  const stop = (): boolean => child.kill();
  of.signal.addEventListener("abort", stop, { once: true });
  const code = await new Promise<number | null>((ended, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "ENOENT" ? "mpv is not installed" : `mpv can't be started: ${cause.message}`;
      reject(
        new CommandError(exitCodes.failed, `${why}; --print-url gives a URL for another player`, { cause }),
      );
    });
    child.once("close", ended);
  }).finally(() => of.signal.removeEventListener("abort", stop));
  if (code === 0 || code === endedBySignal || of.signal.aborted) return;
  throw new CommandError(exitCodes.failed, `mpv could not play it (it ended with ${code ?? "a signal"})`);
}

/** The command line for mpv; nothing of it is written to disk by mpv. */
export function mpvArguments(of: Playback): string[] {
  return [
    "--no-ytdl",
    "--cache-on-disk=no",
    "--save-position-on-quit=no",
    "--tls-verify=yes",
    // Nothing but HLS: mpv's own lists and edit lists would open whatever address they name.
    "--demuxer=lavf",
    "--demuxer-lavf-format=hls",
    ...(of.authority === null ? [] : [`--tls-ca-file=${of.authority}`]),
    ...(of.quiet ? ["--no-terminal", "--force-window=yes"] : []),
    `--force-media-title=${of.name}`,
    "--",
    of.url,
  ];
}

/**
 * Puts the server's own TLS authority where other programs can read it: a file in `home`, its path returned.
 * null in, null out: the system's list decides.
 */
export async function authorityFile(home: string, authority: string | null): Promise<string | null> {
  if (authority === null) return null;
  const file = join(resolve(home), "authority.pem");
  await writeFile(file, authority, { mode: 0o600 });
  return file;
}
