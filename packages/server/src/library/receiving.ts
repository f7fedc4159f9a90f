import { SnugError } from "@snug/protocol";
import { chunksAhead } from "./messages.ts";

/** A body on its way from the worker, as the main thread takes it. It can be read once. */
export interface Receiving extends AsyncIterable<Uint8Array> {
  chunk(bytes: Uint8Array): void;
  end(): void;
  fail(error: SnugError): void;
}

type State = { at: "open" } | { at: "ended" } | { at: "failed"; error: SnugError };

/** Holds `chunksAhead` chunks at most: `more` is called for each one taken, `left` once when the reader leaves early. */
export function createReceiving(on: { more: () => void; left: () => void }): Receiving {
  const queue: Uint8Array[] = [];
  let state: State = { at: "open" };
  let waiting: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;

  const settle = (): void => {
    const reader = waiting;
    if (reader === undefined || (queue.length === 0 && state.at === "open")) return;
    waiting = undefined;
    const value = queue.shift();
    if (value !== undefined) {
      if (state.at === "open") on.more();
      reader.resolve({ done: false, value });
    } else if (state.at === "failed") reader.reject(state.error);
    else reader.resolve({ done: true, value: undefined });
  };
  const finish = (final: State): void => {
    if (state.at === "open") state = final;
    settle();
  };
  // Not a generator: its `return` would wait for a `next` that waits for the worker.
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => {
      waiting = Promise.withResolvers();
      const { promise } = waiting;
      settle();
      return promise;
    },
    return: async () => {
      queue.length = 0;
      if (state.at === "open") on.left();
      finish({ at: "ended" });
      return { done: true, value: undefined };
    },
  };
  return {
    chunk: (bytes) => {
      if (state.at !== "open") return;
      if (queue.length > chunksAhead) {
        // Only a broken worker does that; its reader ends, the server doesn't.
        on.left();
        finish({
          at: "failed",
          error: new SnugError("internal", "the video worker sent more than it was asked for"),
        });
        return;
      }
      queue.push(bytes);
      settle();
    },
    end: () => finish({ at: "ended" }),
    fail: (error) => finish({ at: "failed", error }),
    [Symbol.asyncIterator]: () => iterator,
  };
}
