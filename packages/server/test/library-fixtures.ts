import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TitleView } from "@snug/protocol";
import type { Library } from "../src/library/index.ts";

/** The repository's sample title. */
export const sampleFolder: string = fileURLToPath(new URL("../../../videos", import.meta.url));

/** A folder for one test, gone when disposed. */
export interface TestFolders extends Disposable {
  readonly videos: string;
  readonly data: string;
}

export function testFolders(): TestFolders {
  const root = mkdtempSync(join(tmpdir(), "snug-library-"));
  const folders = { videos: join(root, "videos"), data: join(root, "data") };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  return { ...folders, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

export interface VideoOptions {
  readonly seconds?: number;
  readonly codec?: "libx264" | "libx265";
  readonly height?: number;
  /** Changes the picture, so that files differ in content. */
  readonly colour?: string;
  /** For files that shall be large. */
  readonly noise?: boolean;
  /** Frames from one keyframe to the next. */
  readonly keyframes?: number;
}

/** Makes a video with a picture at 25/s and a tone, small if nothing else is asked for. */
export function makeVideo(path: string, options: VideoOptions = {}): void {
  const {
    seconds = 2,
    codec = "libx264",
    height = 72,
    colour = "navy",
    noise = false,
    keyframes = 25,
  } = options;
  mkdirSync(dirname(path), { recursive: true });
  const size = `${Math.round((height * 16) / 18) * 2}x${height}`;
  const picture = `color=c=${colour}:s=${size}:r=25:d=${seconds}${noise ? ",noise=alls=100:allf=t" : ""}`;
  const input = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", `sine=d=${seconds}:r=44100`];
  const output = [
    "-c:v",
    codec,
    "-g",
    String(keyframes),
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "aac",
    "-b:a",
    "64k",
    "-f",
    "mp4",
  ];
  const speed = ["-preset", "ultrafast", ...(noise ? ["-qp", "20"] : [])];
  if (codec === "libx265") speed.push("-x265-params", "log-level=error");
  execFileSync("ffmpeg", ["-v", "error", "-y", ...input, ...output, ...speed, path]);
}

/** Waits for the library to be in a state, by its own events. */
export async function until(
  library: Library,
  reached: (titles: readonly TitleView[]) => boolean,
): Promise<TitleView[]> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const check = (): void => {
    if (reached(library.view().titles)) resolve();
  };
  const stop = library.onChange(check);
  check();
  await promise;
  stop();
  return library.view().titles;
}

/** All bytes of a body. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body));
}
