import { BoxReader, findBox, requireBox } from "./boxes.ts";
import { MediaError } from "./byteSource.ts";

/** More samples in all tracks than 24 hours of 48 pictures a second and of AAC at 48 kHz have. */
const MAX_SAMPLES = 1 << 23;
/** No coded picture or sound frame of a sane file is larger. */
const MAX_SAMPLE_BYTES = 1 << 26;
/** Times stay below this, so that sums and products with timescales remain exact. */
const MAX_TICKS = 2 ** 46;
/** A byte run is split so often, so that an offset is found without summing a whole file. */
const MAX_RUN_SAMPLES = 1024;

/** Where and when the samples of a track are, in decode order. */
export interface SampleTable {
  /** Bytes of each sample. */
  readonly sizes: Uint32Array;
  /** Composition time of each sample in ticks of the media's own line, before the edit list. */
  readonly times: Float64Array;
  /** Sum of all decode durations, ticks. */
  readonly duration: number;
  /** Byte runs: samples from runFirst[r] up to runFirst[r + 1] lie without a gap from runOffset[r] on. */
  readonly runFirst: Uint32Array;
  readonly runOffset: Float64Array;
}

/** What the tracks of a file may still claim together: samples share no bytes. */
export interface SampleBudget {
  bytes: number;
  samples: number;
}

/** The whole budget of a file. */
export const sampleBudget = (fileSize: number): SampleBudget => ({ bytes: fileSize, samples: MAX_SAMPLES });

/** A table together with the container's own list of sync samples (0-based), null when it lists none. */
export interface ParsedTable {
  readonly samples: SampleTable;
  readonly listedSync: Uint32Array | null;
}

/**
 * Reads an `stbl` (ISO/IEC 14496-12, 8.6 and 8.7). Whatever the tables claim is held against the bytes they
 * take and against the file's budget before anything is allocated for it.
 */
export function parseSampleTable(stbl: Uint8Array, fileSize: number, budget: SampleBudget): ParsedTable {
  const sizes = parseSizes(stbl, budget);
  const { times, duration } = parseTimes(stbl, sizes.length);
  const runs = parseOffsets(stbl, sizes, fileSize);
  return { samples: { sizes, times, duration, ...runs }, listedSync: parseSync(stbl, sizes.length) };
}

/** The table's reader after version and flags, and its number of entries, each of `entryBytes` at least. */
function entries(content: Uint8Array, entryBytes: number, type: string): [BoxReader, number] {
  const reader = new BoxReader(content);
  reader.skip(4);
  const count = reader.u32();
  if (count * entryBytes > reader.remaining)
    throw new MediaError("damaged", `${type} claims ${count} entries`);
  return [reader, count];
}

function parseSizes(stbl: Uint8Array, budget: SampleBudget): Uint32Array {
  const compact = findBox(stbl, "stz2");
  if (compact !== undefined) throw new MediaError("unsupported", "compact sample sizes (stz2)");
  const reader = new BoxReader(requireBox(stbl, "stsz"));
  reader.skip(4);
  const constant = reader.u32();
  const count = reader.u32();
  const room = constant === 0 ? reader.remaining / 4 : budget.bytes / constant;
  if (count > room || count > budget.samples) throw new MediaError("damaged", `stsz claims ${count} samples`);
  budget.samples -= count;
  const sizes = new Uint32Array(count);
  for (let index = 0; index < count; index++) {
    const size = constant === 0 ? reader.u32() : constant;
    if (size > MAX_SAMPLE_BYTES) throw new MediaError("damaged", `sample ${index} claims ${size} bytes`);
    sizes[index] = size;
    budget.bytes -= size;
  }
  if (budget.bytes < 0) throw new MediaError("truncated", "the samples take more bytes than the file has");
  return sizes;
}

function parseTimes(stbl: Uint8Array, count: number): { times: Float64Array; duration: number } {
  const times = new Float64Array(count);
  const [reader, runs] = entries(requireBox(stbl, "stts"), 8, "stts");
  let index = 0;
  let time = 0;
  for (let run = 0; run < runs; run++) {
    const length = reader.u32();
    const delta = reader.u32();
    if (length > count - index) throw new MediaError("damaged", "stts has more samples than stsz");
    for (let end = index + length; index < end; index++) {
      times[index] = time;
      time += delta;
    }
    if (time > MAX_TICKS) throw new MediaError("damaged", "stts runs past any real length");
  }
  if (index !== count) throw new MediaError("damaged", `stts has ${index} samples, stsz ${count}`);
  addOffsets(stbl, times);
  return { times, duration: time };
}

/** Adds the composition offsets; version 0 is read as signed too, since QuickTime writes it so. */
function addOffsets(stbl: Uint8Array, times: Float64Array): void {
  const ctts = findBox(stbl, "ctts");
  if (ctts === undefined) return;
  const [reader, runs] = entries(ctts, 8, "ctts");
  let index = 0;
  for (let run = 0; run < runs; run++) {
    const length = reader.u32();
    const offset = reader.i32();
    if (length > times.length - index) throw new MediaError("damaged", "ctts has more samples than stsz");
    for (let end = index + length; index < end; index++) times[index] = (times[index] ?? 0) + offset;
  }
  if (index !== times.length)
    throw new MediaError("damaged", `ctts has ${index} samples, stsz ${times.length}`);
}

function parseOffsets(
  stbl: Uint8Array,
  sizes: Uint32Array,
  fileSize: number,
): Pick<SampleTable, "runFirst" | "runOffset"> {
  const wide = findBox(stbl, "co64");
  const [chunks, chunkCount] = entries(
    wide ?? requireBox(stbl, "stco"),
    wide ? 8 : 4,
    wide ? "co64" : "stco",
  );
  const [groups, groupCount] = entries(requireBox(stbl, "stsc"), 12, "stsc");
  const most = Math.min(chunkCount, sizes.length) + Math.ceil(sizes.length / MAX_RUN_SAMPLES);
  const runFirst = new Uint32Array(most);
  const runOffset = new Float64Array(most);
  let runs = 0;
  let began = 0;
  let perChunk = 0;
  let nextGroup = groupCount > 0 ? groups.u32() : 0;
  let groupsRead = 0;
  let sample = 0;
  let end = -1;
  const openRun = (offset: number): void => {
    runFirst[runs] = sample;
    runOffset[runs++] = offset;
    began = sample;
    end = offset;
  };
  for (let chunk = 1; chunk <= chunkCount && sample < sizes.length; chunk++) {
    const offset = wide ? chunks.u64() : chunks.u32();
    if (chunk === nextGroup) {
      perChunk = groups.u32();
      groups.skip(4);
      groupsRead++;
      nextGroup = groupsRead < groupCount ? groups.u32() : 0;
      if (nextGroup !== 0 && nextGroup <= chunk) throw new MediaError("damaged", "stsc is not in order");
    }
    if (perChunk > sizes.length - sample) throw new MediaError("damaged", "stsc has more samples than stsz");
    if (perChunk > 0 && offset !== end) openRun(offset);
    for (const last = sample + perChunk; sample < last; sample++) {
      if (sample - began >= MAX_RUN_SAMPLES) openRun(end);
      end += sizes[sample] ?? 0;
    }
    if (end > fileSize)
      throw new MediaError("truncated", `chunk ${chunk} ends at ${end}, the file at ${fileSize}`);
  }
  if (sample !== sizes.length)
    throw new MediaError("damaged", `the chunks hold ${sample} samples, stsz ${sizes.length}`);
  return { runFirst: runFirst.slice(0, runs), runOffset: runOffset.slice(0, runs) };
}

function parseSync(stbl: Uint8Array, count: number): Uint32Array | null {
  const stss = findBox(stbl, "stss");
  if (stss === undefined) return null;
  const [reader, length] = entries(stss, 4, "stss");
  const sync = new Uint32Array(length);
  let previous = 0;
  for (let index = 0; index < length; index++) {
    const sample = reader.u32();
    if (sample <= previous || sample > count) throw new MediaError("damaged", "stss is not in order");
    sync[index] = sample - 1;
    previous = sample;
  }
  return sync;
}

/** The byte offset of a sample in the file. */
export function sampleOffset(table: SampleTable, sample: number): number {
  let low = 0;
  let high = table.runFirst.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((table.runFirst[middle] ?? 0) <= sample) low = middle;
    else high = middle - 1;
  }
  let offset = table.runOffset[low] ?? 0;
  for (let index = table.runFirst[low] ?? 0; index < sample; index++) offset += table.sizes[index] ?? 0;
  return offset;
}
