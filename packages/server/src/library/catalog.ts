import type { TitleId, TitleView } from "@snug/protocol";
import type { OpenFound } from "./folder.ts";
import { matchIds } from "./identity.ts";
import { parseVideoName } from "./names.ts";
import { readFile } from "./reading.ts";
import type { Records, TitleRecord } from "./records.ts";
import { type Draft, draftTitles, type GroupFile } from "./titles.ts";
import type { FoundFile } from "./walk.ts";

/** A file that nobody wrote to for this long is whole, ms; one that isn't after all is read again when it changes. */
export const settleTime = 1000;

/** A title with what it takes to cut it. */
export interface Title {
  readonly view: TitleView;
  /** The same object as long as nothing but the still changes. */
  readonly draft: Draft;
}

export interface CatalogOptions {
  readonly walk: () => Promise<{ files: readonly FoundFile[]; complete: boolean }>;
  readonly open: OpenFound;
  readonly records: Records;
  /** ms since 1970. */
  readonly now: () => number;
  readonly log: (line: string) => void;
  readonly onChanged: (titles: readonly TitleView[], removed: readonly TitleId[]) => void;
}

/** The titles of the folder as it was seen last. */
export class Catalog {
  readonly #options: CatalogOptions;
  /** Files that were not whole when they were seen: stamp, and since when it stays so. */
  readonly #unsettled = new Map<string, { stamp: string; since: number }>();
  /** Stamps of files that could not be opened: that may change, so it is tried after each walk and kept nowhere. */
  readonly #closed = new Set<string>();
  #known: TitleRecord[];
  #groups = new Map<string, GroupFile[]>();
  #drafts = new Map<string, { signature: string; drafts: readonly Draft[] }>();
  #titles = new Map<TitleId, Title>();
  #wasComplete = true;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#known = options.records.titles();
  }

  title(id: string): Title | undefined {
    return this.#titles.get(id as TitleId);
  }

  titles(): Iterable<Title> {
    return this.#titles.values();
  }

  /** Whether everything was read, and nothing is to be tried again at the next walk. */
  get isSettled(): boolean {
    return this.#unsettled.size === 0 && this.#closed.size === 0;
  }

  /** Walks the folder and publishes what is known already. Throws when the folder can't be read. */
  async walk(): Promise<void> {
    const { files, complete } = await this.#options.walk();
    if (this.#wasComplete && !complete) {
      this.#options.log("the folder of videos holds more files, or deeper folders, than are looked at");
    }
    this.#wasComplete = complete;
    const present = new Set(files.map(({ path }) => path));
    for (const path of this.#unsettled.keys()) if (!present.has(path)) this.#unsettled.delete(path);
    this.#groups = this.#grouped(files);
    this.publish();
  }

  /**
   * Reads what was never read, title by title, and publishes each; leaves off between two titles when `stop` says so.
   * Gives whether the folder is to be walked again soon: files are left that are not whole yet.
   */
  async read(stop: () => boolean = () => false): Promise<boolean> {
    for (const group of this.#groups.values()) {
      const unread = group.filter(({ state, file }) => state === "unread" || this.#closed.has(file.stamp));
      if (unread.length === 0) continue;
      for (const member of unread) await this.#readOne(member);
      this.publish();
      // After, not before: a folder in which something happens all the time is read too.
      if (stop()) return true;
    }
    return this.#unsettled.size > 0;
  }

  /** Says what changed since the last time, and keeps the identity of titles whose bytes are known. */
  publish(): void {
    const { records, onChanged } = this.#options;
    const drafts = [...this.#groups].flatMap(([key, group]) => this.#draftsOf(key, group));
    const ids = matchIds(drafts, this.#known);
    const titles = new Map<TitleId, Title>();
    const changed: TitleView[] = [];
    drafts.forEach((draft, at) => {
      const id = ids[at];
      if (id === undefined) return;
      const still = draft.view.state === "playable" && records.hasStill(draft.view.version) === true;
      const title = renewed(this.#titles.get(id), { id, draft, still });
      titles.set(id, title);
      if (title.view !== this.#titles.get(id)?.view) changed.push(title.view);
    });
    const removed = [...this.#titles.keys()].filter((id) => !titles.has(id));
    this.#titles = titles;
    this.#remember(drafts, ids);
    if (changed.length > 0 || removed.length > 0) onChanged(changed, removed);
  }

  /** Marks what is in use, so that the records forget only what is gone for long. */
  sweep(): void {
    const stamps = [...this.#groups.values()].flat().map(({ file }) => file.stamp);
    const drafts = [...this.#drafts.values()].flatMap((group) => group.drafts);
    const versions = drafts.flatMap(({ view, planned }) => [view.version, planned]);
    this.#options.records.sweep({ stamps, versions, ids: [...this.#titles.keys()] });
  }

  #grouped(files: readonly FoundFile[]): Map<string, GroupFile[]> {
    const groups = new Map<string, GroupFile[]>();
    for (const file of files) {
      const { key } = parseVideoName(file.path);
      const group = groups.get(key);
      // A second hard link to the same bytes says nothing new within a title.
      if (group?.some((member) => member.file.stamp === file.stamp)) continue;
      const member = this.#member(file);
      if (group === undefined) groups.set(key, [member]);
      else group.push(member);
    }
    return groups;
  }

  #member(file: FoundFile): GroupFile {
    const record = this.#options.records.file(file.stamp);
    if (record !== undefined) {
      this.#unsettled.delete(file.path);
      return memberOf(file, record);
    }
    if (!this.#isSettled(file)) return { file, state: "growing" };
    if (!this.#closed.has(file.stamp)) return { file, state: "unread" };
    return { file, state: "unplayable", content: null, reason: "it can't be opened for reading" };
  }

  /** By the file's own clock, or, where that is ahead of ours, by having watched it. */
  #isSettled(file: FoundFile): boolean {
    const now = this.#options.now();
    const age = now - Number(file.changed) / 1e6;
    const seen = this.#unsettled.get(file.path);
    const since = seen?.stamp === file.stamp ? seen.since : now;
    const settled = age >= settleTime || now - since >= settleTime;
    if (settled) this.#unsettled.delete(file.path);
    else this.#unsettled.set(file.path, { stamp: file.stamp, since });
    return settled;
  }

  async #readOne(member: GroupFile): Promise<void> {
    const { records, open, log } = this.#options;
    const { file } = member;
    let opened = true;
    try {
      opened = await readFile(file, records, open);
    } catch (error) {
      log(`${file.path} could not be read: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (opened) this.#closed.delete(file.stamp);
    else this.#closed.add(file.stamp);
    const group = this.#groups.get(parseVideoName(file.path).key);
    const at = group?.indexOf(member) ?? -1;
    if (group !== undefined && at >= 0) group[at] = this.#member(file);
  }

  #draftsOf(key: string, group: readonly GroupFile[]): readonly Draft[] {
    const signature = group.map(({ file, state }) => `${file.path} ${file.stamp} ${state}`).join("\n");
    const before = this.#drafts.get(key);
    if (before?.signature === signature) return before.drafts;
    const drafts = draftTitles(key, group, this.#options.records);
    this.#drafts.set(key, { signature, drafts });
    return drafts;
  }

  #remember(drafts: readonly Draft[], ids: readonly TitleId[]): void {
    const kept = new Map(this.#known.map((record) => [record.id, record]));
    drafts.forEach(({ key, contents }, at) => {
      const id = ids[at];
      if (id === undefined) return;
      const before = kept.get(id);
      const record = { id, key, contents };
      if (before?.key === key && before.contents.join() === contents.join()) return;
      kept.set(id, record);
      // What was not read yet may turn out to be a title that was known: its id is not final.
      if (contents.length > 0) this.#options.records.keepTitle(record);
    });
    this.#known = [...kept.values()];
    for (const key of this.#drafts.keys()) if (!this.#groups.has(key)) this.#drafts.delete(key);
  }
}

/** The title as it is now; with the same view as before when people see no difference. */
function renewed(before: Title | undefined, now: { id: TitleId; draft: Draft; still: boolean }): Title {
  const { id, draft, still } = now;
  if (before?.draft === draft && before.view.still === still) return before;
  const view: TitleView = { id, ...draft.view, still };
  const same = before !== undefined && JSON.stringify(before.view) === JSON.stringify(view);
  return { view: same ? before.view : view, draft };
}

function memberOf(file: FoundFile, record: { content: string | null; problem: string | null }): GroupFile {
  const { content, problem } = record;
  if (content === null || problem !== null) {
    return { file, state: "unplayable", content, reason: problem ?? "it could not be read" };
  }
  return { file: { ...file, content }, state: "known" };
}
