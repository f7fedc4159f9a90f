import { BoxReader } from "./boxes.ts";
import { MediaError } from "./byteSource.ts";

const RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 8];
const ESDS_LIMIT = 1024;
/** AAC LC, HE-AAC and HE-AAC v2 (ISO/IEC 14496-3, table 1.17). */
const COPIED_TYPES = [2, 5, 29];

/** What an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) says. */
export interface AacConfiguration {
  readonly objectType: number;
  /** RFC 6381, for instance mp4a.40.2. */
  readonly codec: string;
  /** Of the sound that comes out, Hz. */
  readonly sampleRate: number;
  /** 0 when only a program config element inside tells. */
  readonly channels: number;
}

/** Reads an AudioSpecificConfig; null when its object type is not copied. */
export function parseAacConfiguration(bytes: Uint8Array): AacConfiguration | null {
  let position = 0;
  const bits = (count: number): number => {
    let value = 0;
    for (let index = 0; index < count; index++, position++) {
      const byte = bytes[position >> 3];
      if (byte === undefined) throw new MediaError("damaged", "the AAC configuration is too short");
      value = value * 2 + ((byte >> (7 - (position & 7))) & 1);
    }
    return value;
  };
  const type = (): number => {
    const short = bits(5);
    return short === 31 ? 32 + bits(6) : short;
  };
  const rate = (): number => {
    const index = bits(4);
    const value = index === 15 ? bits(24) : RATES[index];
    if (value === undefined || value === 0)
      throw new MediaError("damaged", "the AAC configuration has no rate");
    return value;
  };
  const objectType = type();
  const coreRate = rate();
  const channels = CHANNELS[bits(4)] ?? 0;
  if (!COPIED_TYPES.includes(objectType)) return null;
  const sampleRate = objectType === 2 ? coreRate : rate();
  const stereo = objectType === 29 ? 2 : channels;
  return { objectType, codec: `mp4a.40.${objectType}`, sampleRate, channels: stereo };
}

/** The AudioSpecificConfig inside an esds box, or null when it describes another codec than MPEG-4 AAC. */
export function configurationInEsds(esds: Uint8Array): Uint8Array | null {
  if (esds.length > ESDS_LIMIT) throw new MediaError("damaged", "esds is too long");
  const reader = new BoxReader(esds);
  reader.skip(4);
  if (descriptor(reader) !== 3) throw new MediaError("damaged", "esds has no elementary stream");
  reader.skip(2);
  const flags = reader.u8();
  if (flags & 0x80) reader.skip(2);
  if (flags & 0x40) reader.skip(reader.u8());
  if (flags & 0x20) reader.skip(2);
  if (descriptor(reader) !== 4) throw new MediaError("damaged", "esds has no decoder configuration");
  const codec = reader.u8();
  reader.skip(12);
  if (codec !== 0x40) return null;
  const header = descriptorHeader(reader);
  if (header.tag !== 5) throw new MediaError("damaged", "esds has no AAC configuration");
  return reader.bytes(header.length);
}

const descriptor = (reader: BoxReader): number => descriptorHeader(reader).tag;

/** Tag and length, the length in up to four groups of 7 bits (ISO/IEC 14496-1, 8.3.3). */
function descriptorHeader(reader: BoxReader): { tag: number; length: number } {
  const tag = reader.u8();
  let length = 0;
  for (let group = 0; group < 4; group++) {
    const byte = reader.u8();
    length = length * 128 + (byte & 0x7f);
    if (byte < 0x80) break;
  }
  return { tag, length };
}

/**
 * One AAC frame of silence for 1 to 6 channels (raw_data_block with all spectra zero, as hls.js and Android
 * write it), or null. HE-AAC decoders take it too: a frame without SBR data is only upsampled.
 */
export function silentFrame(channels: number): Uint8Array | null {
  const hex = [
    "",
    "00c800802380",
    "210049900219002380",
    "00c8008020840126400864008e",
    "00c800802084012640086400802c80080238",
    "00c800802084012640086400823004990021900238",
    "00c800802084012640086400823004990021900200b2002008e0",
  ][channels];
  return hex === undefined || hex === ""
    ? null
    : Uint8Array.from(hex.match(/../g) ?? [], (two) => Number.parseInt(two, 16));
}
