const lockName = "snug-owner";
const channelName = "snug-owner";
/** A tab that is asleep doesn't answer; then its lock is taken. In ms. */
const patience = 3000;

/** Held by the one tab that runs the client. */
export interface Ownership {
  /** Resolves when another tab asked for it, or took it: stop at once, then `release`. */
  readonly wanted: Promise<void>;
  release(): void;
}

/** Takes the ownership if no other tab of this browser holds it, else null. */
export function takeOwnership(): Promise<Ownership | null> {
  return request({ ifAvailable: true });
}

/** Asks the owner to let go and waits; takes the lock from a tab that doesn't answer. */
export async function demandOwnership(): Promise<Ownership> {
  const channel = new BroadcastChannel(channelName);
  channel.postMessage("wanted");
  channel.close();
  const waiting = new AbortController();
  const timer = setTimeout(() => waiting.abort(), patience);
  try {
    const ownership = await request({ signal: waiting.signal });
    if (ownership) return ownership;
  } catch (error) {
    if (!waiting.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  const stolen = await request({ steal: true });
  if (!stolen) throw new Error("the lock could not be taken");
  return stolen;
}

function request(options: LockOptions): Promise<Ownership | null> {
  return new Promise((resolve, reject) => {
    const held = Promise.withResolvers<void>();
    const wanted = Promise.withResolvers<void>();
    const asked = navigator.locks.request(lockName, options, (lock) => {
      if (!lock) return resolve(null);
      const channel = new BroadcastChannel(channelName);
      channel.addEventListener("message", () => wanted.resolve());
      resolve({
        wanted: wanted.promise,
        release: () => {
          channel.close();
          held.resolve();
        },
      });
      return held.promise;
    });
    // Rejects while it is held only when another tab steals it.
    asked.catch((error: unknown) => {
      wanted.resolve();
      reject(error);
    });
  });
}
