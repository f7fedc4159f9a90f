import { watch } from "node:fs";
import { join } from "node:path";
import type { Seen } from "./messages.ts";
import { signatureOf, walkFolder } from "./walk.ts";

/** The folder is walked this often even when nothing seems to happen, ms. */
const sweepTime = 60_000;
/** The worker marks what is in use in its records at least so often, ms. */
const longestRest = 24 * 3_600_000;

/** Looks after a folder while its worker rests: calls `wake` once when something has changed, and after a day. */
export function keepVigil({ root, folders, signature }: Seen, wake: () => void): Disposable {
  using stack = new DisposableStack();
  let ended = false;
  const end = (): void => {
    if (!ended) wake();
  };
  const look = async (): Promise<void> => {
    // A folder that is away for a while takes no titles along, as with a worker that is awake.
    const found = await walkFolder(root).then(signatureOf, () => signature);
    if (found !== signature) end();
  };
  for (const folder of folders) {
    try {
      const watcher = watch(join(root, folder), end).on("error", end);
      stack.defer(() => watcher.close());
    } catch {
      // Where a folder can't be watched, the sweep finds what is new; the worker has told the operator.
    }
  }
  const sweep = setInterval(look, sweepTime);
  stack.defer(() => clearInterval(sweep));
  const day = setTimeout(end, longestRest);
  stack.defer(() => clearTimeout(day));
  stack.defer(() => {
    ended = true;
  });
  // Before the folder was watched, something may have happened that the worker did not see any more.
  void look();
  return stack.move();
}
