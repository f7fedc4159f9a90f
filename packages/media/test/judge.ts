/** ffmpeg and ffprobe as foreign judges of what the packager wrote, and ffmpeg as the maker of the clips. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  initSegment,
  masterPlaylist,
  mediaPlaylist,
  mediaSegment,
  type PlanInput,
  planTitle,
  readIndex,
  type TitlePlan,
} from "../src/index.ts";
import { openFile } from "../src/node.ts";

const execute = promisify(execFile);

/** Runs a program with words (split at spaces) and paths (kept whole). */
export async function run(
  program: "ffmpeg" | "ffprobe" | "mpv",
  ...args: readonly (string | string[])[]
): Promise<string> {
  const words = args.flatMap((arg) => (typeof arg === "string" ? arg.trim().split(/\s+/) : arg));
  const { stdout } = await execute(program, words, { maxBuffer: 1 << 28, encoding: "utf8" });
  return stdout;
}

/** As run, but the output is bytes. */
async function runForBytes(program: "ffmpeg", ...args: readonly (string | string[])[]): Promise<Buffer> {
  const words = args.flatMap((arg) => (typeof arg === "string" ? arg.trim().split(/\s+/) : arg));
  const { stdout } = await execute(program, words, { maxBuffer: 1 << 28, encoding: "buffer" });
  return stdout;
}

/** A folder for clips and output that goes away with its owner. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "snug-media-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Encodes a clip: ffmpeg words before the path. */
export async function makeClip(path: string, ...args: readonly string[]): Promise<string> {
  await run("ffmpeg", "-v error -y -nostdin", ...args, [path]);
  return path;
}

export interface WrittenTitle {
  readonly plan: TitlePlan;
  readonly folder: string;
  readonly master: string;
}

/** Plans the files as one title and writes it out as a folder that any HLS player opens. */
export async function writeTitle(
  folder: string,
  files: readonly (string | PlanInput)[],
): Promise<WrittenTitle> {
  const inputs: PlanInput[] = [];
  for (const file of files) {
    if (typeof file !== "string") inputs.push(file);
    else {
      await using source = openFile(file);
      inputs.push({ fileId: file, index: await readIndex(source) });
    }
  }
  const plan = planTitle(inputs);
  await mkdir(folder, { recursive: true });
  const master = join(folder, "master.m3u8");
  await writeFile(master, masterPlaylist(plan));
  for (const { fileId, id, segments } of plan.renditions) {
    await mkdir(join(folder, id), { recursive: true });
    await writeFile(join(folder, id, "index.m3u8"), mediaPlaylist(plan, id));
    const init = initSegment(plan, id);
    await writeFile(join(folder, id, "init.mp4"), init);
    await using source = openFile(fileId);
    const all: Uint8Array[] = [init];
    for (const { number } of segments) {
      const segment = await collect(mediaSegment(plan, id, number, source));
      await writeFile(join(folder, id, `${number}.m4s`), segment);
      await writeFile(join(folder, id, `alone-${number}.mp4`), Buffer.concat([init, segment]));
      all.push(segment);
    }
    await writeFile(join(folder, id, "all.mp4"), Buffer.concat(all));
  }
  return { plan, folder, master };
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** A decoded frame: its time in seconds × 1e6 exactly as ticks · 1e6 / timescale allows, and its hash. */
export interface Frame {
  /** Ticks of `Frames.timescale`. */
  readonly time: number;
  readonly hash: string;
}

export interface Frames {
  readonly timescale: number;
  readonly frames: readonly Frame[];
}

/** The frames that ffmpeg decodes from a stream ("v:0", "a:1"), by time. */
export async function decodedFrames(path: string, stream: string): Promise<Frames> {
  const output = await run(
    "ffmpeg",
    "-v error -copyts -i",
    [path],
    `-map 0:${stream} -vsync passthrough -enc_time_base -1 -f framehash -hash murmur3 -`,
  );
  const lines = output.split("\n");
  const base = /#tb 0: 1\/(\d+)/.exec(output)?.[1];
  const frames = lines
    .filter((line) => /^\d/.test(line))
    .map((line) => line.split(",").map((field) => field.trim()))
    .map(([, , time = "", , , hash = ""]) => ({ time: Number(time), hash }));
  return { timescale: Number(base), frames };
}

export interface Packet {
  readonly pts: number;
  readonly dts: number;
  readonly duration: number;
}

/** The packets that ffprobe sees, in file order, ticks of the stream. */
export async function packets(path: string, stream: string): Promise<Packet[]> {
  const output = await run(
    "ffprobe",
    `-v error -select_streams ${stream} -show_entries packet=pts,dts,duration -of json`,
    [path],
  );
  const { packets: list } = JSON.parse(output) as { packets: Packet[] };
  return list;
}

/** The samples of one channel mix (s16, first channel) that ffmpeg plays from a stream, and the time of the first. */
export async function decodedSound(
  path: string,
  stream: string,
): Promise<{ start: number; samples: Int16Array }> {
  const { frames } = await decodedFrames(path, stream);
  const bytes = await runForBytes("ffmpeg", "-v error -i", [path], `-map 0:${stream} -ac 1 -f s16le -`);
  return {
    start: frames[0]?.time ?? 0,
    samples: new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1),
  };
}
