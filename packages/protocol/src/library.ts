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

/** GET /api/titles/{titleId}: all a player needs before its first segment, in one answer. */
export const TitleDetail = z.strictObject({
  title: TitleView,
  /** `/m/me/{titleId}/{version}/` — `me` stands for the cookie or token of the asker. */
  base: z.string(),
  master: z.string(),
  /** rendition id → media playlist */
  playlists: z.record(z.string(), z.string()),
  /** rendition id → init segment, base64url */
  inits: z.record(z.string(), z.string()),
});
export type TitleDetail = z.infer<typeof TitleDetail>;
