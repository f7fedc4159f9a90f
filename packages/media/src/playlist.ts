import type { Rendition, TitlePlan } from "./plan.ts";
import { findRendition } from "./segment.ts";

/** Nine decimals: hls.js lays a track on the line by the playlist's times, so rounding there moves the sound. */
const DECIMALS = 9;

const attribute = (text: string): string => text.replace(/["\r\n]/g, " ").trim();

/** The master playlist; media playlists are `{rendition}/index.m3u8` beside it. */
export function masterPlaylist(plan: TitlePlan): string {
  const video = plan.renditions.filter(({ kind }) => kind === "video");
  const audio = plan.renditions.filter(({ kind }) => kind === "audio");
  const loudest = Math.max(0, ...audio.map(({ peakBandwidth }) => peakBandwidth));
  const average = Math.max(0, ...audio.map(({ averageBandwidth }) => averageBandwidth));
  const soundCodecs = [...new Set(audio.map(({ codec }) => codec))];
  const rates = new Set(video.map(({ frameRate = 0 }) => frameRate.toFixed(3)));
  const lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", ...soundLines(audio)];
  for (const rendition of video) {
    const attributes = [
      `BANDWIDTH=${rendition.peakBandwidth + loudest}`,
      `AVERAGE-BANDWIDTH=${rendition.averageBandwidth + average}`,
      `CODECS="${[rendition.codec, ...soundCodecs].join(",")}"`,
      `RESOLUTION=${rendition.width}x${rendition.height}`,
      // A player never climbs to a rung with a lower rate, so the rate is said only where all agree.
      ...(rates.size === 1 ? [`FRAME-RATE=${[...rates].join()}`] : []),
      `VIDEO-RANGE=${videoRange(rendition)}`,
      ...(audio.length > 0 ? ['AUDIO="sound"'] : []),
    ];
    lines.push(`#EXT-X-STREAM-INF:${attributes.join(",")}`, `${rendition.id}/index.m3u8`);
  }
  return `${lines.join("\n")}\n`;
}

function soundLines(audio: readonly Rendition[]): string[] {
  const taken = new Set<string>();
  return audio.map((rendition, index) => {
    const wanted = attribute(rendition.label ?? "") || rendition.language || "Sound";
    const name =
      taken.has(wanted) || (audio.length > 1 && wanted === "Sound") ? `${wanted} ${index + 1}` : wanted;
    taken.add(name);
    const language =
      rendition.language === undefined ? [] : [`LANGUAGE="${shortLanguage(rendition.language)}"`];
    const attributes = [
      "TYPE=AUDIO",
      'GROUP-ID="sound"',
      `NAME="${name}"`,
      ...language,
      `DEFAULT=${index === 0 ? "YES" : "NO"}`,
      "AUTOSELECT=YES",
      `CHANNELS="${rendition.channels}"`,
      `URI="${rendition.id}/index.m3u8"`,
    ];
    return `#EXT-X-MEDIA:${attributes.join(",")}`;
  });
}

/** RFC 5646 wants the two-letter code where there is one. */
const shortLanguage = (language: string): string => Intl.getCanonicalLocales(language)[0] ?? language;

/** From the transfer characteristics in colr (ISO/IEC 23091-2): 16 is PQ, 18 HLG. */
function videoRange({ source }: Rendition): "SDR" | "PQ" | "HLG" {
  const transfer = source.kind === "video" ? (source.track.colour[7] ?? 0) : 0;
  return transfer === 16 ? "PQ" : transfer === 18 ? "HLG" : "SDR";
}

/**
 * The media playlist of a rendition: `init.mp4` and `{n}.m4s` beside it. A segment's place on the playlist's
 * line is the decode time of its first sample, to the last decimal, since EXTINF is the difference of rounded
 * cumulative times.
 */
export function mediaPlaylist(plan: TitlePlan, renditionId: string): string {
  const { segments, timescale } = findRendition(plan, renditionId);
  const scale = 10 ** DECIMALS;
  const rounded = (ticks: number): bigint =>
    (BigInt(ticks) * BigInt(scale) * 2n + BigInt(timescale)) / BigInt(2 * timescale);
  const lines = [
    "#EXTM3U",
    "#EXT-X-VERSION:7",
    `#EXT-X-TARGETDURATION:${plan.targetDuration}`,
    "#EXT-X-MEDIA-SEQUENCE:0",
    "#EXT-X-PLAYLIST-TYPE:VOD",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    '#EXT-X-MAP:URI="init.mp4"',
  ];
  for (const { from, number, to } of segments) {
    const digits = String(rounded(to) - rounded(from)).padStart(DECIMALS + 1, "0");
    lines.push(`#EXTINF:${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)},`, `${number}.m4s`);
  }
  return `${[...lines, "#EXT-X-ENDLIST"].join("\n")}\n`;
}
