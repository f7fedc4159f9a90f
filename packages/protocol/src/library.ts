import { z } from "zod";
import { TitleId } from "./ids.ts";

/** One quality or sound of a title. `id` is opaque. Bandwidth in bits per second, peak. */
export const RenditionView = z.strictObject({
  id: z.string().regex(/^[a-z0-9]{1,16}$/),
  kind: z.enum(["video", "audio"]),
  codec: z.string().max(64),
  bandwidth: z.int().nonnegative(),
  width: z.int().positive().optional(),
  height: z.int().positive().optional(),
  language: z.string().max(35).optional(),
  channels: z.int().positive().optional(),
});
export type RenditionView = z.infer<typeof RenditionView>;

/** A title of the library. */
export const TitleView = z.strictObject({
  id: TitleId,
  name: z.string().min(1).max(255),
  /** `playable`; `preparing` while being read; `unplayable` with the reason in words. */
  state: z.enum(["playable", "preparing", "unplayable"]),
  reason: z.string().max(500).nullable(),
  /** Stands for files, index format and packager; part of every URL. Empty until playable. */
  version: z.string().max(43),
  durationMicroseconds: z.int().nonnegative(),
  /** Bytes of all its files. */
  size: z.int().nonnegative(),
  renditions: z.array(RenditionView).max(64),
  /** Whether `/m/{grant}/{titleId}/{version}/still.jpg` exists. */
  still: z.boolean(),
  /** Files left out of the ladder, in words. */
  notes: z.array(z.string().max(500)).max(64),
});
export type TitleView = z.infer<typeof TitleView>;

/** GET /api/library */
export const LibraryView = z.strictObject({ revision: z.int().nonnegative(), titles: z.array(TitleView) });
export type LibraryView = z.infer<typeof LibraryView>;

const attributes = '(?:(?!URI=)[A-Z-]+=(?:"[^"\\r\\n]*"|[^",\\r\\n]*)(?:,|$))*';
/** The lines that a title's playlists have (RFC 8216bis): what they name lies beside them, and nothing else is asked for. */
const playlistLine = new RegExp(
  `^(?:${[
    "",
    "#EXTM3U",
    "#EXT-X-(?:INDEPENDENT-SEGMENTS|ENDLIST|PLAYLIST-TYPE:VOD)",
    "#EXT-X-(?:VERSION|TARGETDURATION|MEDIA-SEQUENCE):\\d{1,9}",
    '#EXT-X-MAP:URI="init\\.mp4"',
    "#EXTINF:\\d{1,9}\\.\\d{1,9},",
    "\\d{1,7}\\.m4s",
    `#EXT-X-STREAM-INF:${attributes}`,
    `#EXT-X-MEDIA:${attributes}URI="[a-z0-9]{1,16}/index\\.m3u8"`,
    "[a-z0-9]{1,16}/index\\.m3u8",
  ].join("|")})$`,
);

const Playlist = z.string().refine((text) => text.split("\n").every((line) => playlistLine.test(line)));

/** GET /api/titles/{titleId}: all a player needs before its first segment, in one answer. */
export const TitleDetail = z
  .strictObject({
    title: TitleView,
    /** `/m/me/{titleId}/{version}/` — `me` stands for the cookie or token of the asker. Empty until playable. */
    base: z.string(),
    master: Playlist,
    /** rendition id → media playlist */
    playlists: z.record(z.string(), Playlist),
    /** rendition id → init segment, base64url */
    inits: z.record(z.string(), z.string()),
  })
  // A player asks where it is told to: nowhere but for this title, here.
  .refine(({ title, base }) => base === "" || base === `/m/me/${title.id}/${title.version}/`);
export type TitleDetail = z.infer<typeof TitleDetail>;
