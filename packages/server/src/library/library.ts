import { mkdir, stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { Worker } from "node:worker_threads";
import { type LibraryView, SnugError, type TitleDetail, type TitleId, type TitleView } from "@snug/protocol";
import { StartError } from "../startError.ts";
import { threadEnvironment } from "../threads.ts";
import { type FoundBody, Link } from "./link.ts";
import type { FileRequest, WorkerOptions } from "./messages.ts";

/** The videos of a folder, kept up to date and cut in a thread of their own. */
export interface Library extends AsyncDisposable {
  view(): LibraryView;
  /** Titles in the list. */
  readonly size: number;
  /** Calls back after each change; gives the function that ends this. */
  onChange(listener: (revision: number) => void): () => void;
  /** Throws SnugError `not-found`, or `unavailable` when the worker just stopped. */
  detail(id: TitleId): Promise<TitleDetail>;
  /** Microseconds; undefined for an unknown title. */
  duration(id: TitleId): number | undefined;
  /** undefined = there is no such thing, whatever the reason. Throws SnugError `unavailable`. */
  open(request: FileRequest): Promise<FoundBody | undefined>;
}

export interface LibraryOptions {
  /** The folder of the videos. */
  readonly folder: string;
  /** Where the library keeps its index; made when missing. */
  readonly data: string;
  /** Takes a line for the operator. */
  readonly log: (line: string) => void;
}

type StartWorker = (options: WorkerOptions) => Worker;

const startWorker: StartWorker = (workerData) =>
  new Worker(new URL("./worker.ts", import.meta.url), {
    workerData,
    name: "library",
    env: threadEnvironment(),
    // A hostile file may at worst end the worker, never the server.
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });

/**
 * Opens the library: resolves once the folder was walked and everything that was read in earlier runs is listed.
 * Throws StartError when the folder is missing or the index can't be used. `start` is the tests' way in.
 */
export async function openLibrary(
  options: LibraryOptions,
  start: StartWorker = startWorker,
): Promise<Library> {
  const { folder, data, log } = options;
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new StartError(`there is no folder of videos at ${folder}`);
  await mkdir(data, { recursive: true, mode: 0o700 });

  const titles = new Map<TitleId, TitleView>();
  const listeners = new Set<(revision: number) => void>();
  // Rises over restarts too, so that no client takes an old list for the newest.
  let revision = Date.now();
  // Sorting thousands of names takes longer than anything else that a request may: once for each revision.
  let view: LibraryView | undefined;
  const take = (changed: readonly TitleView[]): void => {
    for (const title of changed) titles.set(title.id, title);
    revision++;
    view = undefined;
    for (const listener of listeners) listener(revision);
  };
  const link = new Link({
    start: () => start({ folder, data }),
    log,
    onListed: (all) => {
      const changed = all.filter((title) => !isDeepStrictEqual(title, titles.get(title.id)));
      const there = new Set(all.map(({ id }) => id));
      const removed = [...titles.keys()].filter((id) => !there.has(id));
      for (const id of removed) titles.delete(id);
      // A worker that comes back from its rest has nothing new to say.
      if (changed.length > 0 || removed.length > 0) take(changed);
    },
    onChanged: (changed, removed) => {
      for (const id of removed) titles.delete(id);
      take(changed);
    },
  });
  try {
    await link.ready;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`the index of the videos can't be used: ${why}`, { cause });
  }
  return {
    view: () => {
      view ??= { revision, titles: [...titles.values()].sort(byName) };
      return view;
    },
    get size() {
      return titles.size;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    detail: async (id) => {
      const detail = titles.has(id) ? await link.detail(id) : null;
      if (detail === null) throw new SnugError("not-found", "there is no such title");
      return detail;
    },
    duration: (id) => titles.get(id)?.durationMicroseconds,
    open: (request) => link.open(request),
    [Symbol.asyncDispose]: () => link.close(),
  };
}

// Its tables are 4 MB: only for who asks for the list.
let collator: Intl.Collator | undefined;
function byName(a: TitleView, b: TitleView): number {
  collator ??= new Intl.Collator("en", { numeric: true });
  return collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);
}
