import { createHash } from "node:crypto";
import {
  decodeIndex,
  INDEX_VERSION,
  type PlanInput,
  planTitle,
  type Rendition,
  type TitlePlan,
} from "@snug/media";
import type { RenditionView } from "@snug/protocol";
import type { OpenFile, OpenFound } from "./folder.ts";
import type { FoundFile } from "./walk.ts";

/** Films whose plans are kept at hand. */
const mostPlans = 32;
/** Bytes of the kept indexes behind them; unpacked they take about five times that. */
const mostPlanBytes = 12 * 1024 * 1024;

/** A file with its content fingerprint. */
export interface KnownFile extends FoundFile {
  readonly content: string;
}

/** What planning says of some files, as it is kept. Files by their stamps. */
export interface Outcome {
  readonly durationMicroseconds: number;
  readonly renditions: readonly RenditionView[];
  readonly rejected: readonly { readonly stamp: string; readonly reason: string }[];
}

/** Stands for the bytes of the files, for what an index holds and for how segments are written (VL6). */
export function versionOf(files: readonly KnownFile[]): string {
  const parts = files.map(({ content, changed }) => `${content} ${changed}`).sort();
  return createHash("sha256")
    .update([`index ${INDEX_VERSION}`, ...parts].join("\n"))
    .digest("base64url");
}

/** The kept index of a file, by its stamp. */
export type MediaOf = (stamp: string) => Uint8Array | undefined;

/** Plans the files as one title. Throws when a kept index is missing or broken. */
export function planOutcome(files: readonly KnownFile[], media: MediaOf): Outcome {
  const { plan } = planFiles(files, media);
  return {
    durationMicroseconds: plan.durationMicroseconds,
    renditions: plan.renditions.map(viewOf),
    rejected: plan.rejected.map(({ fileId, reason }) => ({ stamp: fileId, reason })),
  };
}

function planFiles(files: readonly KnownFile[], media: MediaOf): { plan: TitlePlan; bytes: number } {
  let bytes = 0;
  const inputs = files.map(({ stamp, path }): PlanInput => {
    const kept = media(stamp);
    if (kept === undefined) throw new Error(`the index of ${path} is gone`);
    bytes += kept.length;
    return { fileId: stamp, index: decodeIndex(kept) };
  });
  return { plan: planTitle(inputs), bytes };
}

function viewOf({ id, kind, codec, peakBandwidth, ...rest }: Rendition): RenditionView {
  const { width, height, language, channels } = rest;
  return {
    id,
    kind,
    codec,
    bandwidth: peakBandwidth,
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    ...(language === undefined ? {} : { language }),
    ...(channels === undefined ? {} : { channels }),
  };
}

/** A title's plan in use; dispose it to let its files go. */
export interface HeldPlan extends Disposable {
  readonly plan: TitlePlan;
  /** The open file of a rendition; undefined when it is no longer the one that was planned. */
  source(rendition: Rendition): OpenFile | undefined;
}

interface Entry {
  readonly plan: TitlePlan;
  readonly bytes: number;
  readonly files: ReadonlyMap<string, FoundFile>;
  readonly open: Map<string, OpenFile>;
  users: number;
  dropped: boolean;
}

/** Plans and open files of the titles that were asked for last. A plan that is in use outlives its place here. */
export class Plans implements Disposable {
  readonly #media: MediaOf;
  readonly #openFound: OpenFound;
  readonly #entries = new Map<string, Entry>();

  constructor(media: MediaOf, openFound: OpenFound) {
    this.#media = media;
    this.#openFound = openFound;
  }

  hold(version: string, files: readonly KnownFile[]): HeldPlan {
    const entry = this.#entry(version, files);
    entry.users++;
    let held = true;
    return {
      plan: entry.plan,
      source: (rendition) => this.#source(entry, rendition.fileId),
      [Symbol.dispose]: () => {
        if (held) entry.users--;
        held = false;
        closeUnused(entry);
      },
    };
  }

  /** Lets go of all others: an open file that was deleted would keep its place on the disk. */
  retain(versions: ReadonlySet<string>): void {
    for (const version of [...this.#entries.keys()]) if (!versions.has(version)) this.#drop(version);
  }

  [Symbol.dispose](): void {
    for (const version of [...this.#entries.keys()]) this.#drop(version);
  }

  #entry(version: string, files: readonly KnownFile[]): Entry {
    const known = this.#entries.get(version);
    this.#entries.delete(version);
    const entry = known ?? {
      ...planFiles(files, this.#media),
      files: new Map(files.map((file) => [file.stamp, file])),
      open: new Map<string, OpenFile>(),
      users: 0,
      dropped: false,
    };
    this.#entries.set(version, entry);
    this.#trim(version);
    return entry;
  }

  /** The map's order is that of the last use. */
  #trim(newest: string): void {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.bytes;
    for (const [version, entry] of this.#entries) {
      if ((bytes <= mostPlanBytes && this.#entries.size <= mostPlans) || version === newest) return;
      bytes -= entry.bytes;
      this.#drop(version);
    }
  }

  #drop(version: string): void {
    const entry = this.#entries.get(version);
    if (entry === undefined) return;
    this.#entries.delete(version);
    entry.dropped = true;
    closeUnused(entry);
  }

  #source(entry: Entry, stamp: string): OpenFile | undefined {
    const open = entry.open.get(stamp);
    if (open !== undefined) return open.isUnchanged() ? open : undefined;
    const file = entry.files.get(stamp);
    const opened = file && this.#openFound(file);
    if (opened !== undefined) entry.open.set(stamp, opened);
    return opened;
  }
}

function closeUnused(entry: Entry): void {
  if (!entry.dropped || entry.users > 0) return;
  for (const file of entry.open.values()) file[Symbol.dispose]();
  entry.open.clear();
}
