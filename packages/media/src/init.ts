import { box, concat, fullBox, type Part, u16, u32 } from "./boxWriter.ts";
import type { AudioTrack, VideoTrack } from "./track.ts";

const IDENTITY = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
const zeros = (count: number): readonly number[] => new Array<number>(count).fill(0);

/** The init segment of a picture rendition: no edit list, since its first picture is at 0. */
export function videoInit(track: VideoTrack): Uint8Array {
  const [across, down] = track.pixelAspect;
  const header = {
    matrix: track.matrix,
    volume: 0,
    width: Math.min(0xffff, Math.round((track.width * across) / down)),
    height: track.height,
  };
  const entry = box(
    "avc1",
    ...[zeros(6), u16(1), zeros(16), u16(track.width), u16(track.height)],
    ...[u32(0x48_0000), u32(0x48_0000), u32(0), u16(1), zeros(32), u16(0x18), u16(0xffff)],
    box("avcC", track.configuration),
    across === down ? [] : box("pasp", u32(across), u32(down)),
    track.colour.length === 0 ? [] : box("colr", track.colour),
  );
  const media = { handler: "vide", header: fullBox("vmhd", [0, 1], zeros(8)), language: "", entry };
  return init({ timescale: track.timescale, lead: 0, primingSamples: 0, header, media });
}

/** The init segment of a sound rendition; its edit list hides the first `lead` ticks of the media line. */
export function audioInit(track: AudioTrack, lead: number): Uint8Array {
  const { channels, configuration, sampleRate } = track;
  const entry = box(
    "mp4a",
    ...[zeros(6), u16(1), zeros(8), u16(channels), u16(16), zeros(4)],
    u32(sampleRate < 0x1_0000 ? sampleRate * 0x1_0000 : 0),
    fullBox(
      "esds",
      [0, 0],
      descriptor(
        3,
        zeros(3),
        descriptor(4, [0x40, 0x15], zeros(11), descriptor(5, configuration)),
        descriptor(6, [2]),
      ),
    ),
  );
  const media = {
    handler: "soun",
    header: fullBox("smhd", [0, 0], zeros(4)),
    language: track.language,
    entry,
  };
  const header = { matrix: IDENTITY, volume: 0x100, width: 0, height: 0 };
  const primingSamples = Math.round((lead * sampleRate) / track.timescale);
  return init({ timescale: track.timescale, lead, primingSamples, header, media });
}

/** An MPEG-4 descriptor with its length in four groups of 7 bits. */
function descriptor(tag: number, ...content: readonly Part[]): Uint8Array {
  const body = concat(...content);
  const { length } = body;
  const groups = [
    (length >> 21) | 0x80,
    ((length >> 14) & 0x7f) | 0x80,
    ((length >> 7) & 0x7f) | 0x80,
    length & 0x7f,
  ];
  return concat([tag, ...groups], body);
}

interface InitParts {
  readonly timescale: number;
  readonly lead: number;
  /** Decoded samples that `lead` stands for. */
  readonly primingSamples: number;
  readonly header: { matrix: readonly number[]; volume: number; width: number; height: number };
  readonly media: { handler: string; header: Uint8Array; language: string; entry: Uint8Array };
}

/**
 * Apple's gapless note (`iTunSMPB`): how many decoded samples to drop at the start. FFmpeg does not drop what an
 * edit list hides in a fragmented file, but it does drop these; both say the same.
 */
function gaplessNote(samples: number): Uint8Array {
  const eight = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0");
  const text = ` ${eight(0)} ${eight(samples)} ${eight(0)} ${eight(0)}${eight(0)}${` ${eight(0)}`.repeat(8)}`;
  const note = box(
    "----",
    fullBox("mean", [0, 0], "com.apple.iTunes"),
    fullBox("name", [0, 0], "iTunSMPB"),
    box("data", u32(1), u32(0), text),
  );
  const handler = fullBox("hdlr", [0, 0], zeros(4), "mdirappl", zeros(9));
  return box("udta", fullBox("meta", [0, 0], handler, box("ilst", note)));
}

function init({ timescale, lead, primingSamples, header, media }: InitParts): Uint8Array {
  const letters = media.language === "" ? "und" : media.language;
  const language = [...letters].reduce((packed, letter) => packed * 32 + (letter.charCodeAt(0) - 0x60), 0);
  const matrix = header.matrix.flatMap(u32);
  const trak = box(
    "trak",
    fullBox(
      "tkhd",
      [0, 3],
      ...[zeros(8), u32(1), zeros(4), u32(0), zeros(8), u16(0), u16(0), u16(header.volume), u16(0), matrix],
      ...[u32(header.width * 0x1_0000), u32(header.height * 0x1_0000)],
    ),
    lead === 0 ? [] : box("edts", fullBox("elst", [0, 0], u32(1), u32(0), u32(lead), u32(0x1_0000))),
    box(
      "mdia",
      fullBox("mdhd", [0, 0], zeros(8), u32(timescale), u32(0), u16(language), u16(0)),
      fullBox("hdlr", [0, 0], zeros(4), media.handler, zeros(12), "Snug\0"),
      box(
        "minf",
        media.header,
        box("dinf", fullBox("dref", [0, 0], u32(1), fullBox("url ", [0, 1]))),
        box(
          "stbl",
          fullBox("stsd", [0, 0], u32(1), media.entry),
          fullBox("stts", [0, 0], u32(0)),
          fullBox("stsc", [0, 0], u32(0)),
          fullBox("stsz", [0, 0], u32(0), u32(0)),
          fullBox("stco", [0, 0], u32(0)),
        ),
      ),
    ),
  );
  const times = [zeros(8), u32(timescale), u32(0)];
  const mvhd = fullBox(
    "mvhd",
    [0, 0],
    ...times,
    ...[u32(0x1_0000), u16(0x100), zeros(10), IDENTITY.flatMap(u32), zeros(24), u32(2)],
  );
  const trex = fullBox("trex", [0, 0], u32(1), u32(1), u32(0), u32(0), u32(0));
  const note = primingSamples === 0 ? [] : gaplessNote(primingSamples);
  return concat(
    box("ftyp", "iso6", u32(0), "iso6", "cmfc", "mp41"),
    box("moov", mvhd, trak, box("mvex", trex), note),
  );
}
