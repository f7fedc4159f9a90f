import { MediaError } from "./byteSource.ts";
import type { MediaIndex } from "./mediaIndex.ts";
import type { SampleTable } from "./sampleTable.ts";
import type { AudioTrack, Edit, VideoTrack } from "./track.ts";

/** Rises with each change of this format, of what an index holds, or of how segments are written from it. */
export const INDEX_VERSION: number = 1;

const MAGIC = [0x53, 0x4e, 0x47, 0x49];

/**
 * The index as bytes for keeping: "SNGI", version, then the fields in the order of the writers below. Numbers are
 * LEB128 of up to 2^53; sizes stand one by one, times as runs of equal differences, offsets as distances.
 */
export function encodeIndex(index: MediaIndex): Uint8Array {
  const writer = new Writer();
  for (const byte of MAGIC) writer.byte(byte);
  writer.byte(INDEX_VERSION);
  writer.number(index.fileSize);
  writer.number(index.movieTimescale);
  writer.number(index.durationMicroseconds);
  writer.text(index.problem ?? "");
  writer.number(index.video === null ? 0 : 1);
  if (index.video !== null) writeVideo(writer, index.video);
  writer.number(index.audio.length);
  for (const track of index.audio) writeAudio(writer, track);
  return writer.finish();
}

/** Reads what encodeIndex wrote; anything else, a missing or a surplus byte throws MediaError("damaged"). */
export function decodeIndex(bytes: Uint8Array): MediaIndex {
  const reader = new Reader(bytes);
  if (MAGIC.some((byte) => reader.byte() !== byte)) throw damaged("no index");
  const version = reader.byte();
  if (version !== INDEX_VERSION) throw damaged(`an index of version ${version}`);
  const fileSize = reader.number();
  const movieTimescale = reader.positive();
  const durationMicroseconds = reader.number();
  const problem = reader.text() || null;
  const video = reader.flag() ? readVideo(reader) : null;
  const audio = Array.from({ length: reader.count() }, () => readAudio(reader));
  reader.finish();
  return { fileSize, movieTimescale, durationMicroseconds, problem, video, audio };
}

const damaged = (what: string): MediaError => new MediaError("damaged", `the kept index is broken: ${what}`);

function writeVideo(writer: Writer, track: VideoTrack): void {
  writer.number(track.timescale);
  writer.text(track.codec);
  writer.number(track.width);
  writer.number(track.height);
  for (const value of track.pixelAspect) writer.number(value);
  for (const value of track.matrix) writer.signed(value);
  writer.bytes(track.colour);
  writer.bytes(track.configuration);
  writeEdit(writer, track.edit);
  writeSamples(writer, track.samples);
  writer.ascending(track.cuts);
}

function readVideo(reader: Reader): VideoTrack {
  const timescale = reader.positive();
  const codec = reader.text();
  const width = reader.positive();
  const height = reader.positive();
  const pixelAspect = [reader.positive(), reader.positive()] as const;
  const matrix = Array.from({ length: 9 }, () => reader.signed());
  const colour = reader.bytes();
  const configuration = reader.bytes();
  const edit = readEdit(reader);
  const samples = readSamples(reader);
  const cuts = reader.ascending(samples.sizes.length);
  return { timescale, codec, width, height, pixelAspect, matrix, colour, configuration, edit, samples, cuts };
}

function writeAudio(writer: Writer, track: AudioTrack): void {
  writer.number(track.timescale);
  writer.text(track.codec);
  writer.number(track.channels);
  writer.number(track.sampleRate);
  writer.text(track.language);
  writer.bytes(track.configuration);
  writeEdit(writer, track.edit);
  writeSamples(writer, track.samples);
}

function readAudio(reader: Reader): AudioTrack {
  return {
    timescale: reader.positive(),
    codec: reader.text(),
    channels: reader.number(),
    sampleRate: reader.positive(),
    language: reader.text(),
    configuration: reader.bytes(),
    edit: readEdit(reader),
    samples: readSamples(reader),
  };
}

function writeEdit(writer: Writer, edit: Edit): void {
  writer.number(edit.delay);
  writer.number(edit.mediaTime);
  writer.number(edit.mediaDuration);
}

const readEdit = (reader: Reader): Edit => ({
  delay: reader.number(),
  mediaTime: reader.number(),
  mediaDuration: reader.number(),
});

function writeSamples(writer: Writer, { duration, runFirst, runOffset, sizes, times }: SampleTable): void {
  writer.number(sizes.length);
  writer.number(duration);
  for (const size of sizes) writer.number(size);
  let time = 0;
  for (let index = 0; index < times.length; ) {
    const step = (times[index] ?? 0) - time;
    let end = index;
    while (end < times.length && (times[end] ?? 0) - time === step) time = times[end++] ?? 0;
    writer.signed(step);
    writer.number(end - index);
    index = end;
  }
  writer.ascending(runFirst);
  let previous = 0;
  for (const offset of runOffset) {
    writer.signed(offset - previous);
    previous = offset;
  }
}

function readSamples(reader: Reader): SampleTable {
  const count = reader.count();
  const duration = reader.number();
  const sizes = new Uint32Array(count);
  for (let index = 0; index < count; index++) sizes[index] = reader.below(2 ** 32);
  const times = new Float64Array(count);
  let time = 0;
  for (let index = 0; index < count; ) {
    const step = reader.signed();
    const length = reader.number();
    if (length === 0 || length > count - index) throw damaged("a run of times");
    for (const end = index + length; index < end; index++) {
      time += step;
      times[index] = time;
    }
    if (!Number.isSafeInteger(time)) throw damaged("a time");
  }
  const runFirst = reader.ascending(count);
  if (count > 0 && runFirst[0] !== 0) throw damaged("the first run");
  let offset = 0;
  const runOffset = Float64Array.from(runFirst, () => {
    offset += reader.signed();
    if (!Number.isSafeInteger(offset) || offset < 0) throw damaged("an offset");
    return offset;
  });
  return { duration, runFirst, runOffset, sizes, times };
}

/** Zigzag: small numbers of either sign become small numbers. */
const zigzag = (value: number): number => (value < 0 ? -value * 2 - 1 : value * 2);
const unzigzag = (value: number): number => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);

class Writer {
  #bytes = new Uint8Array(4096);
  #at = 0;

  byte(value: number): void {
    if (this.#at === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#at++] = value;
  }

  number(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  signed(value: number): void {
    this.number(zigzag(value));
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    for (const byte of value) this.byte(byte);
  }

  text(value: string): void {
    this.bytes(new TextEncoder().encode(value));
  }

  /** Strictly rising numbers, as distances. */
  ascending(values: Uint32Array): void {
    this.number(values.length);
    let previous = -1;
    for (const value of values) {
      this.number(value - previous - 1);
      previous = value;
    }
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw damaged("it ends early");
    return value;
  }

  number(): number {
    let value = 0;
    let weight = 1;
    for (let group = 0; group < 8; group++, weight *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * weight;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value) || (byte === 0 && group > 0)) throw damaged("a number");
        return value;
      }
    }
    throw damaged("a number without an end");
  }

  signed(): number {
    return unzigzag(this.number());
  }

  below(limit: number): number {
    const value = this.number();
    if (value >= limit) throw damaged("a number out of range");
    return value;
  }

  positive(): number {
    const value = this.number();
    if (value === 0) throw damaged("a zero");
    return value;
  }

  flag(): boolean {
    return this.below(2) === 1;
  }

  /** A number of things of which each takes a byte at least. */
  count(): number {
    return this.below(this.#bytes.length - this.#at + 1);
  }

  bytes(): Uint8Array {
    const length = this.count();
    const at = this.#at;
    this.#at += length;
    return new Uint8Array(this.#bytes.subarray(at, this.#at));
  }

  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes());
    } catch (cause) {
      if (cause instanceof MediaError) throw cause;
      throw damaged("a text");
    }
  }

  ascending(limit: number): Uint32Array {
    const values = new Uint32Array(this.count());
    let previous = -1;
    for (let index = 0; index < values.length; index++) {
      previous += this.number() + 1;
      if (previous >= limit) throw damaged("a number out of order");
      values[index] = previous;
    }
    return values;
  }

  finish(): void {
    if (this.#at !== this.#bytes.length) throw damaged("it has surplus bytes");
  }
}
