import { firstPicture, parseAvcConfiguration } from "./avc.ts";
import type { ByteSource } from "./byteSource.ts";
import { sampleOffset } from "./sampleTable.ts";
import type { VideoTrack } from "./track.ts";

/** Enough for access unit delimiter, parameter sets and usual SEI (x264 names itself in 700 bytes). */
const FIRST_READ = 1024;
/** NAL units looked at beyond the first read before a sample counts as "no IDR". */
const MAX_HOPS = 64;
/** Reads for one file, beyond which no more cuts are looked for (3 s of work; an hour of IDR only takes a tenth). */
const MAX_LOOKS = 1 << 19;
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

/** Those of the samples that are IDR pictures, up to the first gap that makes the rest useless. */
async function keepIdr(source: ByteSource, picture: Picture, samples: Uint32Array): Promise<Uint32Array> {
  const { times } = picture.samples;
  const { lengthBytes } = parseAvcConfiguration(picture.configuration);
  const limit = SUSPICIOUS_SECONDS * picture.timescale;
  const looks: Looks = { left: MAX_LOOKS, lengthBytes };
  const cuts: number[] = [];
  for (const sample of samples) {
    const previous = times[cuts.at(-1) ?? 0] ?? 0;
    if ((times[sample] ?? 0) - previous > limit || looks.left <= 0) break;
    if (await isIdr(source, picture, sample, looks)) cuts.push(sample);
  }
  return Uint32Array.from(cuts);
}

interface Looks {
  left: number;
  readonly lengthBytes: number;
}

async function isIdr(source: ByteSource, picture: Picture, sample: number, looks: Looks): Promise<boolean> {
  const offset = sampleOffset(picture.samples, sample);
  const size = picture.samples.sizes[sample] ?? 0;
  let at = 0;
  for (let hop = 0; hop < MAX_HOPS && at < size; hop++) {
    looks.left--;
    const bytes = await source.read(offset + at, Math.min(size - at, FIRST_READ));
    const start = firstPicture(bytes, looks.lengthBytes, at);
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
