/**
 * Makes the sample title `videos/Test card_{240,720,1440}p.mp4`: `node scripts/make-sample.ts`, about a minute.
 * A still test card with a small moving part, a counter that programs read (testing/counter.ts), and a flash
 * together with a beep on each full second.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SAMPLE } from "../testing/counter.ts";
import { TestCard } from "./test-card.ts";

const SOUND_RATE = 48_000;
const VIDEOS = join(import.meta.dirname, "..", "videos");

/** A WAV file (stereo, 16 bit): a tone of 90 ms on each full second, a higher one on each sixth. */
function beeps(): Uint8Array {
  const samples = SOUND_RATE * SAMPLE.seconds;
  const wav = Buffer.alloc(44 + samples * 4);
  wav.write("RIFF", 0, "latin1");
  wav.writeUInt32LE(36 + samples * 4, 4);
  wav.write("WAVEfmt ", 8, "latin1");
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(2, 22);
  wav.writeUInt32LE(SOUND_RATE, 24);
  wav.writeUInt32LE(SOUND_RATE * 4, 28);
  wav.writeUInt16LE(4, 32);
  wav.writeUInt16LE(16, 34);
  wav.write("data", 36, "latin1");
  wav.writeUInt32LE(samples * 4, 40);
  for (let index = 0; index < samples; index++) {
    const second = Math.floor(index / SOUND_RATE);
    const time = (index % SOUND_RATE) / SOUND_RATE;
    const pitch = second % 6 === 0 ? 1320 : 880;
    // The attack is one sample long, so that a program finds the beep's start exactly; the end is soft.
    const level =
      time < 0.09 ? 0.5 * Math.min(1, (0.09 - time) / 0.04) * Math.cos(2 * Math.PI * pitch * time) : 0;
    wav.writeInt16LE(Math.round(level * 32_000), 44 + index * 4);
    wav.writeInt16LE(Math.round(level * 32_000), 46 + index * 4);
  }
  return wav;
}

async function encode(rendition: number, sound: string): Promise<void> {
  const card = new TestCard(rendition);
  const path = join(VIDEOS, `Test card_${card.height}p.mp4`);
  const input = `-f rawvideo -pix_fmt yuv420p -s ${card.width}x${card.height} -r ${SAMPLE.frameRate} -i -`;
  const picture = `-c:v libx264 -preset slow -crf ${[20, 20, 21][rendition]} -pix_fmt yuv420p
    -g ${SAMPLE.frameRate * 2} -keyint_min ${SAMPLE.frameRate * 2} -sc_threshold 0 -threads 2
    -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv`;
  const words = (text: string): string[] => text.trim().split(/\s+/);
  const ffmpeg = spawn(
    "ffmpeg",
    [
      ..."-v error -y -nostdin".split(" "),
      ...words(input),
      ...["-i", sound],
      ...words(picture),
      ...words("-c:a aac -b:a 96k -map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact"),
      ...words("-metadata:s:a language=und -movflags +faststart"),
      path,
    ],
    { stdio: ["pipe", "inherit", "inherit"] },
  );
  const ended = once(ffmpeg, "exit");
  for (let number = 0; number < SAMPLE.frameRate * SAMPLE.seconds; number++) {
    if (!ffmpeg.stdin.write(card.frame(number))) await once(ffmpeg.stdin, "drain");
  }
  ffmpeg.stdin.end();
  const [code] = await ended;
  if (code !== 0) throw new Error(`ffmpeg ended with ${code}`);
  console.log(`${path}: ${(await stat(path)).size} bytes`);
}

const folder = await mkdtemp(join(tmpdir(), "snug-sample-"));
try {
  const sound = join(folder, "beeps.wav");
  await writeFile(sound, beeps());
  for (const rendition of SAMPLE.heights.keys()) await encode(rendition, sound);
} finally {
  await rm(folder, { recursive: true, force: true });
}
