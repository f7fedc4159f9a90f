import type { WriteResult } from "./store/batch.ts";
import type { OpenWriter } from "./store/sqliteStore.ts";

/** On a disk that is nearly full small changes still go through between refused ones: it takes again after this calm. ms */
const calm = 10_000;

/** What an operator is told of a disk that takes nothing. */
export interface DiskNews {
  /** It begins; `reason` in the words of the system. */
  refuses(reason: string): void;
  /** It is over: so many changes were refused, from the first to the last in so many ms. */
  takes(refused: number, ms: number): void;
}

/**
 * A writer that tells once when its disk begins to refuse changes and once when it takes them again, however many were
 * refused in between; each of those is answered as `unavailable`. `now`: ms of a clock that nobody sets.
 */
export function tellingOfDisk(open: OpenWriter, news: DiskNews, now: () => number): OpenWriter {
  let began: { readonly at: number; last: number; refused: number } | undefined;
  const look = (results: readonly WriteResult[]): void => {
    const faults = results.flatMap((result) => ("fault" in result ? [result.fault] : []));
    const [fault] = faults;
    if (fault) {
      if (fault.code !== "unavailable") return;
      if (!began) news.refuses(fault.inside.split("\n", 1)[0] ?? "");
      began ??= { at: now(), last: 0, refused: 0 };
      began.last = now();
      began.refused += faults.length;
    } else if (began && now() - began.last >= calm && results.some(isWritten)) {
      const { at, last, refused } = began;
      began = undefined;
      news.takes(refused, last - at);
    }
  };
  return (path, told) =>
    open(path, {
      fail: told.fail,
      settle: (results) => {
        look(results);
        told.settle(results);
      },
    });
}

function isWritten(result: WriteResult): boolean {
  return "value" in result && result.durable;
}
