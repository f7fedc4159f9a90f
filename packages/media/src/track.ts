import { configurationInEsds, parseAacConfiguration } from "./aac.ts";
import { parseAvcConfiguration } from "./avc.ts";
import { BoxReader, boxesIn, findBox, requireBox } from "./boxes.ts";
import { MediaError } from "./byteSource.ts";
import { parseSampleTable, type SampleBudget, type SampleTable } from "./sampleTable.ts";

/** Where a track lies on its movie's line. */
export interface Edit {
  /** What passes on the movie's line before the track begins: ticks of the track, rounded as FFmpeg does. */
  readonly delay: number;
  /** The first media time that is presented, ticks of the track. */
  readonly mediaTime: number;
  /** How much of the media is presented, ticks of the track; 0 = all the rest. */
  readonly mediaDuration: number;
}

/** An H.264 picture track. */
export interface VideoTrack {
  readonly timescale: number;
  /** RFC 6381. */
  readonly codec: string;
  /** Coded size in pixels; pixelAspect and matrix turn it into the displayed one. */
  readonly width: number;
  readonly height: number;
  readonly pixelAspect: readonly [number, number];
  /** The nine numbers of the track header's matrix: rotation. */
  readonly matrix: readonly number[];
  /** Content of colr (nclx), empty when the file has none. */
  readonly colour: Uint8Array;
  /** Content of avcC. */
  readonly configuration: Uint8Array;
  readonly edit: Edit;
  readonly samples: SampleTable;
  /** Samples (0-based, decode order) that a player can start from and a copy is cut at. */
  readonly cuts: Uint32Array;
}

/** An AAC sound track. */
export interface AudioTrack {
  readonly timescale: number;
  readonly codec: string;
  readonly channels: number;
  readonly sampleRate: number;
  /** ISO 639-2, empty when unknown. */
  readonly language: string;
  /** AudioSpecificConfig. */
  readonly configuration: Uint8Array;
  readonly edit: Edit;
  readonly samples: SampleTable;
}

/** A track as far as its boxes tell: cuts are still to be found in the bitstream. */
export type ParsedTrack =
  | {
      readonly kind: "video";
      readonly track: Omit<VideoTrack, "cuts">;
      readonly listedSync: Uint32Array | null;
    }
  | { readonly kind: "audio"; readonly track: AudioTrack }
  | { readonly kind: "problem"; readonly media: "video" | "audio"; readonly reason: string };

/** What holds for the whole file while one track is read. */
export interface MovieContext {
  readonly timescale: number;
  readonly fileSize: number;
  readonly budget: SampleBudget;
}

/** Reads a `trak`; null when it is neither picture nor sound. */
export function parseTrack(trak: Uint8Array, movie: MovieContext): ParsedTrack | null {
  const handler = new BoxReader(requireBox(trak, "mdia", "hdlr"));
  handler.skip(8);
  const type = handler.type();
  if (type !== "vide" && type !== "soun") return null;
  const media = type === "vide" ? "video" : "audio";
  const stbl = requireBox(trak, "mdia", "minf", "stbl");
  const header = parseMediaHeader(requireBox(trak, "mdia", "mdhd"));
  const stsd = requireBox(stbl, "stsd");
  if (stsd.length < 8) throw new MediaError("damaged", "stsd is too short");
  const descriptions = [...boxesIn(stsd.subarray(8))];
  const [entry] = descriptions;
  if (entry === undefined) throw new MediaError("damaged", "stsd has no entry");
  if (descriptions.length > 1)
    return { kind: "problem", media, reason: `${media}: several sample descriptions` };
  const edit = parseEdit(trak, movie.timescale, header.timescale);
  if (edit === null) return { kind: "problem", media, reason: `${media}: an edit list of several parts` };
  const parsed = media === "video" ? parseVideoEntry(entry) : parseAudioEntry(entry);
  if (typeof parsed === "string") return { kind: "problem", media, reason: parsed };
  const { samples, listedSync } = parseSampleTable(stbl, movie.fileSize, movie.budget);
  const common = { timescale: header.timescale, edit, samples };
  if ("width" in parsed) {
    return { kind: "video", track: { ...common, ...parsed, matrix: parseMatrix(trak) }, listedSync };
  }
  return { kind: "audio", track: { ...common, ...parsed, language: header.language } };
}

function parseMediaHeader(mdhd: Uint8Array): { timescale: number; language: string } {
  const reader = new BoxReader(mdhd);
  const wide = reader.u8() === 1;
  reader.skip(wide ? 19 : 11);
  const timescale = reader.u32();
  if (timescale === 0) throw new MediaError("damaged", "mdhd has no timescale");
  reader.skip(wide ? 8 : 4);
  const packed = reader.u16();
  const letters = [packed >> 10, packed >> 5, packed].map((five) =>
    String.fromCharCode(0x60 + (five & 0x1f)),
  );
  const language = letters.join("");
  return { timescale, language: /^[a-z]{3}$/.test(language) && language !== "und" ? language : "" };
}

function parseMatrix(trak: Uint8Array): number[] {
  const reader = new BoxReader(requireBox(trak, "tkhd"));
  const wide = reader.u8() === 1;
  reader.skip(wide ? 51 : 39);
  return Array.from({ length: 9 }, () => reader.i32());
}

/** The track's edit: leading empty ones and one of media. Null when there are more, or another speed. */
function parseEdit(trak: Uint8Array, movieTimescale: number, timescale: number): Edit | null {
  const elst = findBox(trak, "edts", "elst");
  if (elst === undefined) return { delay: 0, mediaTime: 0, mediaDuration: 0 };
  const reader = new BoxReader(elst);
  const wide = reader.u8() === 1;
  reader.skip(3);
  const count = reader.u32();
  if (count * (wide ? 20 : 12) > reader.remaining)
    throw new MediaError("damaged", `elst claims ${count} entries`);
  const ticks = (duration: number): number => Math.round((duration / movieTimescale) * timescale);
  let empty = 0;
  let edit: Edit | null = null;
  for (let index = 0; index < count; index++) {
    const duration = wide ? reader.u64() : reader.u32();
    const mediaTime = wide ? reader.i64() : reader.i32();
    const rate = reader.u32();
    if (mediaTime === -1) {
      if (edit === null) empty += duration;
      continue;
    }
    if (edit !== null || rate !== 0x1_0000 || mediaTime < 0) return null;
    edit = { delay: ticks(empty), mediaTime, mediaDuration: ticks(duration) };
  }
  return edit ?? { delay: 0, mediaTime: 0, mediaDuration: 0 };
}

type VideoEntry = Pick<VideoTrack, "codec" | "width" | "height" | "pixelAspect" | "colour" | "configuration">;
type AudioEntry = Pick<AudioTrack, "codec" | "channels" | "sampleRate" | "configuration">;

function parseVideoEntry(entry: { type: string; content: Uint8Array }): VideoEntry | string {
  if (entry.type !== "avc1") return `video codec ${printable(entry.type)} is not played yet`;
  const reader = new BoxReader(entry.content);
  reader.skip(24);
  const width = reader.u16();
  const height = reader.u16();
  if (width === 0 || height === 0) throw new MediaError("damaged", "the picture has no size");
  reader.skip(50);
  const boxes = reader.bytes(reader.remaining);
  // A copy, so that the index does not hold on to the whole moov.
  const configuration = new Uint8Array(requireBox(boxes, "avcC"));
  const { codec, hasParameterSets } = parseAvcConfiguration(configuration);
  if (!hasParameterSets) return "video: parameter sets only inside the stream";
  return { codec, width, height, configuration, pixelAspect: parseAspect(boxes), colour: parseColour(boxes) };
}

function parseAspect(boxes: Uint8Array): readonly [number, number] {
  const pasp = findBox(boxes, "pasp");
  if (pasp === undefined) return [1, 1];
  const reader = new BoxReader(pasp);
  const [across, down] = [reader.u32(), reader.u32()];
  return across === 0 || down === 0 ? [1, 1] : [across, down];
}

/** colr as ISO writes it (nclx, 11 bytes); QuickTime's nclc lacks the range flag, which is then "limited". */
function parseColour(boxes: Uint8Array): Uint8Array {
  const colr = findBox(boxes, "colr");
  const type = colr === undefined ? "" : String.fromCharCode(...colr.subarray(0, 4));
  if (colr === undefined || colr.length < 10 || (type !== "nclx" && type !== "nclc"))
    return new Uint8Array(0);
  const nclx = new Uint8Array(11);
  nclx.set([0x6e, 0x63, 0x6c, 0x78]);
  nclx.set(colr.subarray(4, 10), 4);
  nclx[10] = type === "nclx" ? (colr[10] ?? 0) & 0x80 : 0;
  return nclx;
}

function parseAudioEntry(entry: { type: string; content: Uint8Array }): AudioEntry | string {
  const refusal = `sound codec ${printable(entry.type)} is not played yet`;
  if (entry.type !== "mp4a") return refusal;
  const reader = new BoxReader(entry.content);
  reader.skip(8);
  const version = reader.u16();
  reader.skip(6);
  const channelCount = reader.u16();
  reader.skip(10);
  // QuickTime's versions 1 and 2 put more fields here, and the configuration inside a `wave` box.
  reader.skip([0, 16, 36][version] ?? 0);
  const boxes = reader.bytes(reader.remaining);
  const esds = findBox(boxes, "esds") ?? findBox(boxes, "wave", "esds");
  if (esds === undefined) return refusal;
  const found = configurationInEsds(esds);
  // The entry's name is AAC's own here, so that naming it would say nothing.
  if (found === null) return "sound other than AAC is not played yet";
  const configuration = new Uint8Array(found);
  const parsed = parseAacConfiguration(configuration);
  if (parsed === null) return "this kind of AAC is not played yet";
  const { codec, sampleRate } = parsed;
  return { codec, sampleRate, channels: parsed.channels || channelCount, configuration };
}

const printable = (type: string): string => type.replace(/[^\x21-\x7e]/g, "?");
