import { basename } from "node:path/posix";
import type { TitleView } from "@snug/protocol";
import { harmlessName, parseVideoName, shortened } from "./names.ts";
import { type KnownFile, type Outcome, planOutcome, versionOf } from "./plans.ts";
import type { Records } from "./records.ts";
import type { FoundFile } from "./walk.ts";

const mostQualities = 16;
const mostNotes = 64;
const longestNote = 500;

/** A file of a title and how far it is. */
export type GroupFile =
  /** `growing`: somebody still writes to it. */
  | { readonly state: "growing" | "unread"; readonly file: FoundFile }
  | {
      readonly state: "unplayable";
      readonly file: FoundFile;
      /** null when not even its fingerprint could be read. */
      readonly content: string | null;
      readonly reason: string;
    }
  | { readonly state: "known"; readonly file: KnownFile };

/** A title before it has its id and its picture. */
export interface Draft {
  readonly key: string;
  readonly contents: readonly string[];
  readonly view: Omit<TitleView, "id" | "still">;
  /** The files of its plan; none unless it is playable. */
  readonly files: readonly KnownFile[];
  /** The version under which the outcome of planning is kept, "" without one. */
  readonly planned: string;
}

interface Refused {
  readonly file: FoundFile;
  readonly reason: string;
}

/** Files that share one timeline. */
interface Ladder {
  readonly files: readonly KnownFile[];
  readonly outcome: Outcome;
  readonly planned: string;
  /** Why they are not part of the first ladder; "" for that one. */
  readonly reason: string;
}

type Kept = Pick<Records, "media" | "outcome" | "keepOutcome">;

/**
 * What the files of one name are: one title, or more when their pictures run on different lines (VL8). Files that can't
 * be cut are notes of the title, or, when none can be, the reason why it can't be played.
 */
export function draftTitles(key: string, group: readonly GroupFile[], records: Kept): Draft[] {
  const first = group[0]?.file;
  if (first === undefined) return [];
  const { title: name } = parseVideoName(first.path);
  const known = group.flatMap((member) => (member.state === "known" ? [member.file] : []));
  const unplayable = group.flatMap((member) => (member.state === "unplayable" ? [member] : []));
  const growing = group.filter(({ state }) => state === "growing");
  const { ladders, refused } = splitLadders(known.slice(0, mostQualities), records);
  const surplus = known.slice(mostQualities);
  const bad: Refused[] = [
    ...unplayable,
    ...refused,
    ...surplus.map((file) => ({ file, reason: `a title has at most ${mostQualities} qualities` })),
  ];
  const [main, ...others] = ladders;
  if (main === undefined) {
    const waits = group.some(({ state }) => state === "growing" || state === "unread");
    return [unready({ key, name, group, bad: waits ? [] : bad })];
  }
  const notes = [
    ...bad.map(({ file, reason }) => `${fileName(file)}: ${reason}`),
    ...others.map(({ files, reason }) => `${files.map(fileName).join(", ")}: a title of its own, ${reason}`),
    ...growing.map(({ file }) => `${fileName(file)}: is still being written`),
  ];
  return [playable(key, name, main, notes), ...others.map((ladder) => otherTitle(key, name, ladder))];
}

/** Plans what can be planned together; what is left over is planned again without it, until nothing can be cut. */
function splitLadders(files: readonly KnownFile[], records: Kept): { ladders: Ladder[]; refused: Refused[] } {
  const ladders: Ladder[] = [];
  let left = files;
  let reason = "";
  while (left.length > 0) {
    const planned = versionOf(left);
    const outcome = outcomeOf(planned, left, records);
    const reasons = new Map(outcome.rejected.map((rejected) => [rejected.stamp, rejected.reason]));
    const accepted = left.filter(({ stamp }) => !reasons.has(stamp));
    if (accepted.length === 0) {
      return { ladders, refused: left.map((file) => ({ file, reason: reasons.get(file.stamp) ?? "" })) };
    }
    ladders.push({ files: accepted, outcome, planned, reason });
    left = left.filter(({ stamp }) => reasons.has(stamp));
    reason = reasons.get(left[0]?.stamp ?? "") ?? "";
  }
  return { ladders, refused: [] };
}

function outcomeOf(version: string, files: readonly KnownFile[], records: Kept): Outcome {
  const kept = records.outcome(version);
  // Written by us under the same index format, which the version stands for.
  if (kept !== undefined) return JSON.parse(kept) as Outcome;
  const outcome = planOutcome(files, records.media);
  records.keepOutcome(version, JSON.stringify(outcome));
  return outcome;
}

function playable(key: string, name: string, ladder: Ladder, notes: readonly string[]): Draft {
  const { files, outcome, planned } = ladder;
  return {
    key,
    contents: files.map(({ content }) => content),
    files,
    planned,
    view: {
      name,
      state: "playable",
      reason: null,
      version: versionOf(files),
      durationMicroseconds: outcome.durationMicroseconds,
      size: sizeOf(files),
      renditions: [...outcome.renditions],
      notes: shortNotes(notes),
    },
  };
}

function otherTitle(key: string, name: string, ladder: Ladder): Draft {
  const { files, reason } = ladder;
  const heights = files.map(({ path }) => `${parseVideoName(path).height}p`).join(", ");
  const ownKey = [key, ...files.map(({ path }) => path)].join("\0");
  const ownName = `${shortened(name, 200)} (${shortened(heights, 50)})`;
  return playable(ownKey, ownName, ladder, [`Not part of “${name}”: ${reason}`]);
}

/** A title that isn't read yet (`bad` is empty) or can't be played. */
function unready(of: {
  key: string;
  name: string;
  group: readonly GroupFile[];
  bad: readonly Refused[];
}): Draft {
  const { key, name, group, bad } = of;
  const [worst, ...rest] = bad;
  return {
    key,
    contents: group.flatMap(contentOf),
    files: [],
    planned: "",
    view: {
      name,
      state: worst === undefined ? "preparing" : "unplayable",
      reason: worst === undefined ? null : shortened(worst.reason, longestNote),
      version: "",
      durationMicroseconds: 0,
      // Not of growing ones: the list would change with every byte that is written.
      size: sizeOf(group.filter(({ state }) => state !== "growing").map(({ file }) => file)),
      renditions: [],
      notes: shortNotes(rest.map(({ file, reason }) => `${fileName(file)}: ${reason}`)),
    },
  };
}

function contentOf(member: GroupFile): string[] {
  if (member.state === "known") return [member.file.content];
  return member.state === "unplayable" && member.content !== null ? [member.content] : [];
}

const shortNotes = (notes: readonly string[]): string[] =>
  notes.slice(0, mostNotes).map((note) => shortened(note, longestNote));
const sizeOf = (files: readonly FoundFile[]): number => files.reduce((sum, { size }) => sum + size, 0);
const fileName = (file: FoundFile): string => harmlessName(basename(file.path).normalize("NFC"));
