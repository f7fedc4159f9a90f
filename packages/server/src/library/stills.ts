import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Catalog, Title } from "./catalog.ts";
import type { KnownFile } from "./plans.ts";
import type { Records } from "./records.ts";

/** Enough for a JPEG of 640 pixels in width; more is not one. */
const mostBytes = 1 << 20;
/** ms. Its processor time is bounded by itself; at idle priority a busy machine takes its time to give that. */
const longestRun = 600_000;
/** Past the opening titles, before anything is given away. */
const share = 0.15;

// $1 is the path, $2 the time in seconds. 2 GB of address space and 20 s of processor time; idle priority.
// The demuxer and the protocol are forced: whatever the file claims to be, it names no other file and no address.
const script = `ulimit -v 2097152; ulimit -t 20
exec nice -n 19 ffmpeg -nostdin -hide_banner -loglevel error -threads 1 -max_streams 64 \
  -protocol_whitelist file -f mov -max_pixels 36000000 -noaccurate_seek -ss "$2" -i "file:$1" \
  -map 0:v:0 -frames:v 1 -vf 'scale=w=640:h=-2' -c:v mjpeg -threads 1 -q:v 4 -f image2pipe -`;

/** Makes the pictures of titles in the background, one at a time, each once (VL13). */
export class Stills implements Disposable {
  readonly #options: { folder: string; catalog: Catalog; records: Records };
  readonly #abort = new AbortController();
  /** Versions that this machine had no time for: the next start tries them again. */
  readonly #late = new Set<string>();
  #working: Promise<void> | undefined;

  constructor(options: { folder: string; catalog: Catalog; records: Records }) {
    this.#options = options;
  }

  /** Looks for titles without a picture, unless that is going on already. Resolves when there is none left to make. */
  wake(): Promise<void> {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
    return this.#working;
  }

  get isWorking(): boolean {
    return this.#working !== undefined;
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
  }

  async #work(): Promise<void> {
    const { folder, catalog, records } = this.#options;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { file, title } = next;
      const seconds = (title.view.durationMicroseconds / 1e6) * share;
      const picture = await grab(join(folder, file.path), seconds, this.#abort.signal);
      if (this.#abort.signal.aborted || picture === "no ffmpeg") return;
      if (picture === "late") {
        this.#late.add(title.view.version);
        continue;
      }
      records.keepStill(title.view.version, picture);
      catalog.publish();
    }
  }

  #next(): { title: Title; file: KnownFile } | undefined {
    const { catalog, records } = this.#options;
    for (const title of catalog.titles()) {
      const { state, version } = title.view;
      if (state !== "playable" || this.#late.has(version) || records.hasStill(version) !== undefined)
        continue;
      const file = middle(title.draft.files);
      if (file !== undefined) return { title, file };
    }
    return undefined;
  }
}

/** The middle one: the smallest would be blurred, the largest takes longest. */
function middle(files: readonly KnownFile[]): KnownFile | undefined {
  return files.toSorted((a, b) => a.size - b.size)[files.length >> 1];
}

/** A JPEG of the picture at `seconds`, null when none can be made, "late" when it was not there within `longestRun`. */
async function grab(
  path: string,
  seconds: number,
  signal: AbortSignal,
): Promise<Uint8Array | "no ffmpeg" | "late" | null> {
  const child = spawn("sh", ["-c", script, "still", path, seconds.toFixed(3)], {
    stdio: ["ignore", "pipe", "ignore"],
    killSignal: "SIGKILL",
    signal,
  });
  const ended = new Promise<number | "failed" | null>((resolve) => {
    child.once("error", () => resolve("failed"));
    child.once("close", resolve);
  });
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, longestRun);
  const parts: Buffer[] = [];
  let bytes = 0;
  child.stdout.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes > mostBytes) child.kill("SIGKILL");
    else parts.push(part);
  });
  const code = await ended;
  clearTimeout(limit);
  if (late) return "late";
  if (code === 127 || code === "failed") return "no ffmpeg";
  return code === 0 && bytes > 0 ? Buffer.concat(parts) : null;
}
