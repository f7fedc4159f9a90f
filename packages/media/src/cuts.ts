import { firstPicture, parseAvcConfiguration } from "./avc.ts";
import type { ByteSource } from "./byteSource.ts";
import { sampleOffset } from "./sampleTable.ts";
import type { VideoTrack } from "./track.ts";

/** Enough for access unit delimiter, parameter sets and usual SEI in front of a picture. */
const FIRST_READ = 512;
/** NAL units looked at beyond the first read before a sample counts as "no IDR". */
const MAX_HOPS = 64;
/** Seconds without a cut after which the container's list is no longer believed to be complete. */
const SUSPICIOUS_SECONDS = 12;

type Picture = Omit<VideoTrack, "cuts">;

/**
 * The samples a copy can be cut at: IDR pictures that the bitstream shows, and that divide the presentation
 * (everything before them in decode order is presented before, everything after them after). The container's
 * list of sync samples only says where to look first; if it is missing, or leaves over 12 s without a cut, every
 * sample is looked at.
 */
export async function findCuts(
  source: ByteSource,
  picture: Picture,
  listedSync: Uint32Array | null,
): Promise<Uint32Array> {
  const dividing = dividingSamples(picture.samples.times);
  if (listedSync !== null) {
    const listed = new Set(listedSync);
    const cuts = await keepIdr(
      source,
      picture,
      dividing.filter((sample) => listed.has(sample)),
    );
    if (!hasLongGap(picture, cuts)) return cuts;
  }
  return keepIdr(source, picture, dividing);
}

/** Samples whose time lies above all times before them and not above any time after them, in decode order. */
function dividingSamples(times: Float64Array): Uint32Array {
  const found: number[] = [];
  let earliest = Number.POSITIVE_INFINITY;
  const isEarliest = new Uint8Array(times.length);
  for (let index = times.length - 1; index >= 0; index--) {
    const time = times[index] ?? 0;
    if (time < earliest) {
      earliest = time;
      isEarliest[index] = 1;
    }
  }
  let latest = Number.NEGATIVE_INFINITY;
  for (const [index, time] of times.entries()) {
    if (isEarliest[index] === 1 && time > latest) found.push(index);
    if (time > latest) latest = time;
  }
  return Uint32Array.from(found);
}

async function keepIdr(source: ByteSource, picture: Picture, samples: Uint32Array): Promise<Uint32Array> {
  const { lengthBytes } = parseAvcConfiguration(picture.configuration);
  const cuts: number[] = [];
  for (const sample of samples) {
    if (await isIdr(source, picture, { sample, lengthBytes })) cuts.push(sample);
  }
  return Uint32Array.from(cuts);
}

async function isIdr(
  source: ByteSource,
  picture: Picture,
  { sample, lengthBytes }: { sample: number; lengthBytes: number },
): Promise<boolean> {
  const offset = sampleOffset(picture.samples, sample);
  const size = picture.samples.sizes[sample] ?? 0;
  let at = 0;
  for (let hop = 0; hop < MAX_HOPS && at < size; hop++) {
    const bytes = await source.read(offset + at, Math.min(size - at, FIRST_READ));
    const start = firstPicture(bytes, lengthBytes, at);
    if (start.kind !== "beyond") return start.kind === "idr";
    if (start.next === at) return false;
    at = start.next;
  }
  return false;
}

function hasLongGap(picture: Picture, cuts: Uint32Array): boolean {
  const { times, duration } = picture.samples;
  const limit = SUSPICIOUS_SECONDS * picture.timescale;
  let previous = times[0] ?? 0;
  for (const cut of cuts) {
    const time = times[cut] ?? 0;
    if (time - previous > limit) return true;
    previous = time;
  }
  return (times[0] ?? 0) + duration - previous > limit;
}
