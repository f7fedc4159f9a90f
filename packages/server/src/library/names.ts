import { posix } from "node:path";

/** Longest name of a file or folder that is looked at, in UTF-16 units after NFC; the protocol's bound for a title's name. */
const longestName = 255;

const videoExtensions = new Set(
  "mp4 m4v mov mkv webm avi ts m2ts mts mpg mpeg wmv flv ogv 3gp".split(" ").map((name) => `.${name}`),
);

/** What a file's path says of it (VL1). */
export interface VideoName {
  /** The files of one key are renditions of one title. Folder, name and, outside the convention, the extension. */
  readonly key: string;
  /** The title's name: folders and name, without `_<height>p` and extension. */
  readonly title: string;
  /** The height that the name claims; 0 outside the convention. */
  readonly height: number;
}

/** Whether a file of this name is taken for a video. */
export function isVideoName(name: string): boolean {
  return videoExtensions.has(posix.extname(name).toLowerCase());
}

/** Whether a file or folder of this name is looked at at all: no dotfiles, no control characters, no endless names. */
export function isVisibleName(name: string): boolean {
  if (name.startsWith(".") || name.normalize("NFC").length > longestName) return false;
  // Bytes that are no UTF-8 come out of the file system as U+FFFD: such a name can't be opened again.
  return name.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f\ufffd]/.test(name);
}

/** A path relative to the folder, with `/` → what it says. */
export function parseVideoName(path: string): VideoName {
  const extension = posix.extname(path);
  const stem = path.slice(0, path.length - extension.length).normalize("NFC");
  const rung = /^(.*[^/])_([1-9][0-9]{1,4})p$/iu.exec(stem);
  if (rung === null) return { key: `${stem}${extension.toLowerCase()}`, title: shown(stem), height: 0 };
  const [, name = "", height] = rung;
  // A NUL can't stand in a path: the keys of ladders and of single files never meet.
  return { key: `${name}\0`, title: shown(name), height: Number(height) };
}

/** The beginning of a text for people; half a character at its end becomes a replacement character. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`.toWellFormed();
}

/** Directional overrides and isolates: a name that has them turns round whatever stands beside it. */
const bidirectional = /[\u202a-\u202e\u2066-\u2069]/g;

/** A file's or folder's name as it may stand in a line of text. */
export function harmlessName(name: string): string {
  return name.replace(bidirectional, "\ufffd");
}

/** Cut from the front, so that of a deep path the file's own name stays. */
function shown(path: string): string {
  const name = harmlessName(path);
  if (name.length <= longestName) return name;
  const from = name.length - longestName + 1;
  // Never between the two halves of one character.
  const half = /[\udc00-\udfff]/.test(name.charAt(from)) ? 1 : 0;
  return `…${name.slice(from + half)}`;
}
