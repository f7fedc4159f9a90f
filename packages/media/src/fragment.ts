import type { Chunk } from "./chunks.ts";

/** styp in front of a segment's first chunk: CMAF segment (ISO/IEC 23000-19). */
const STYP = Uint8Array.from("\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs", (sign) => sign.charCodeAt(0));
/** sample_depends_on = others; not a sync sample. */
const DEPENDENT = 0x0101_0000;
/** sample_depends_on = nothing. */
const INDEPENDENT = 0x0200_0000;

const TFHD_DEFAULT_FLAGS = 0x20;
const TFHD_BASE_IS_MOOF = 0x02_0000;
const TRUN_PICTURE = 0x00_0f01;
const TRUN_SOUND = 0x00_0301;

/** Bytes of a chunk in front of its samples. */
const headerBytes = (chunk: Chunk, first: boolean): number =>
  (first ? STYP.length : 0) + 100 + (chunk.offsets === null ? 8 : 16) * chunk.durations.length;

/** Bytes of a whole segment whose samples take `payload` bytes. */
export function segmentBytes(chunks: readonly Chunk[], payload: number): number {
  return chunks.reduce((sum, chunk, index) => sum + headerBytes(chunk, index === 0), payload);
}

/** What the header of one chunk says beside its times. */
export interface ChunkSamples {
  /** Unique and rising within the rendition. */
  readonly sequence: number;
  readonly isFirst: boolean;
  readonly sizes: readonly number[];
  /** Whether the sample with this number (of the track) can be started from. */
  readonly isSync: (sample: number) => boolean;
}

/**
 * One chunk with room for its samples: [styp] moof mdat. Returns the bytes and where the samples go.
 * tfdt 64-bit, default-base-is-moof, trun version 1 with signed composition offsets.
 */
export function writeChunk(chunk: Chunk, parts: ChunkSamples): { bytes: Uint8Array; payloadAt: number } {
  const payload = parts.sizes.reduce((sum, size) => sum + size, 0);
  const payloadAt = headerBytes(chunk, parts.isFirst);
  const bytes = new Uint8Array(payloadAt + payload);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const u32 = (value: number): void => {
    view.setUint32(at, value);
    at += 4;
  };
  const open = (size: number, type: string): void => {
    u32(size);
    for (let index = 0; index < 4; index++) bytes[at++] = type.charCodeAt(index);
  };
  if (parts.isFirst) {
    bytes.set(STYP);
    at = STYP.length;
  }
  const moofAt = at;
  const moofSize = payloadAt - 8 - moofAt;
  const isPicture = chunk.offsets !== null;
  const tfhdSize = 20;
  const trunSize = moofSize - 8 - 16 - 8 - tfhdSize - 20;
  open(moofSize, "moof");
  open(16, "mfhd");
  u32(0);
  u32(parts.sequence);
  open(8 + tfhdSize + 20 + trunSize, "traf");
  open(tfhdSize, "tfhd");
  u32(TFHD_BASE_IS_MOOF | TFHD_DEFAULT_FLAGS);
  u32(1);
  u32(isPicture ? DEPENDENT : INDEPENDENT);
  open(20, "tfdt");
  u32(0x0100_0000);
  u32(Math.floor(chunk.decodeTime / 0x1_0000_0000));
  u32(chunk.decodeTime % 0x1_0000_0000);
  open(trunSize, "trun");
  u32(0x0100_0000 | (isPicture ? TRUN_PICTURE : TRUN_SOUND));
  u32(chunk.durations.length);
  u32(payloadAt - moofAt);
  for (const [index, duration] of chunk.durations.entries()) {
    u32(duration);
    u32(parts.sizes[index] ?? 0);
    if (!isPicture) continue;
    u32(parts.isSync(chunk.first + index) ? INDEPENDENT : DEPENDENT);
    view.setInt32(at, chunk.offsets?.[index] ?? 0);
    at += 4;
  }
  open(payload + 8, "mdat");
  return { bytes, payloadAt };
}
