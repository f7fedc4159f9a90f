import { type FSWatcher, watch } from "node:fs";

/** Events come in bursts; the folder is walked once for all of them, ms. */
const calm = 300;

/** Waits for something to happen in a folder. */
export interface Watching extends Disposable {
  /** Whether something happened that nobody waited for yet. */
  readonly isPending: boolean;
  /** Resolves soon after something happened, at the latest after `most` ms. */
  next(most: number): Promise<void>;
}

/** Watches a folder and all below it. Where that is not possible, only time passes: the sweep finds what is new. */
export function watchFolder(folder: string, log: (line: string) => void): Watching {
  let pending = false;
  let ended = false;
  let wake = (): void => undefined;
  const happened = (): void => {
    pending = true;
    wake();
  };
  const watcher = begin(folder, happened, log);
  return {
    get isPending() {
      return pending;
    },
    next: async (most) => {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, most);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (pending || ended) wake();
      });
      if (pending && !ended) await new Promise((resolve) => setTimeout(resolve, calm));
      pending = false;
    },
    [Symbol.dispose]: () => {
      ended = true;
      watcher?.close();
      wake();
    },
  };
}

function begin(folder: string, happened: () => void, log: (line: string) => void): FSWatcher | undefined {
  const failed = (error: unknown): void => {
    log(`the folder of videos is looked through once a minute only: it can't be watched (${String(error)})`);
  };
  try {
    return watch(folder, { recursive: true }, happened).on("error", failed);
  } catch (error) {
    failed(error);
    return undefined;
  }
}
