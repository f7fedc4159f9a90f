import type { TitleId, TitleView } from "@snug/protocol";

/** Every announcement makes every client fetch the list: they come no closer than this, ms. */
const pause = 500;

/** Passes changes of titles on, the first at once, those that follow closely together. */
export interface Announcing extends Disposable {
  add(changed: readonly TitleView[], removed: readonly TitleId[]): void;
}

export function createAnnouncing(
  tell: (changed: readonly TitleView[], removed: readonly TitleId[]) => void,
): Announcing {
  const waiting = new Map<TitleId, TitleView | null>();
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    timer = undefined;
    if (waiting.size === 0) return;
    const changed = [...waiting.values()].filter((view) => view !== null);
    const removed = [...waiting].filter(([, view]) => view === null).map(([id]) => id);
    waiting.clear();
    timer = setTimeout(flush, pause);
    tell(changed, removed);
  };
  return {
    add: (changed, removed) => {
      for (const view of changed) waiting.set(view.id, view);
      for (const id of removed) waiting.set(id, null);
      if (timer === undefined) flush();
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
