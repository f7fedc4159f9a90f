const lockName = "snug-owner";
const channelName = "snug-owner";
/** What is said on the channel: who is asked for, who is there, who is to let go. */
type Word = "who" | "here" | "wanted";
/** A tab that is asleep doesn't answer; then its lock is taken. In ms. */
const patience = 3000;

/** Held by the one tab that runs the client. */
export interface Ownership {
  /** Resolves when another tab asked for it, or took it: stop at once, then `release`. */
  readonly wanted: Promise<void>;
  release(): void;
}

/** Takes the ownership if no other tab of this browser has it, else null. */
export async function takeOwnership(): Promise<Ownership | null> {
  const channel = new BroadcastChannel(channelName);
  const waiting = new AbortController();
  // A page that was left, or loaded anew, may hold the lock for a moment longer; one that is there says so.
  channel.addEventListener("message", ({ data }: MessageEvent<Word>) => {
    if (data === "here") waiting.abort();
  });
  channel.postMessage("who" satisfies Word);
  try {
    return await requestFor(waiting);
  } finally {
    channel.close();
  }
}

/** Asks the owner to let go and waits; takes the lock from a tab that doesn't answer. */
export async function demandOwnership(): Promise<Ownership> {
  const channel = new BroadcastChannel(channelName);
  channel.postMessage("wanted" satisfies Word);
  channel.close();
  return (await requestFor(new AbortController())) ?? request({ steal: true });
}

/** The ownership once the lock is free; null when that takes too long, or is called off. */
async function requestFor(waiting: AbortController): Promise<Ownership | null> {
  const { signal } = waiting;
  const timer = setTimeout(() => waiting.abort(), patience);
  // Chromium forgets an abort that comes before the request stands in its queue, and would wait for ever.
  const calledOff = new Promise<null>((resolve) => {
    signal.addEventListener("abort", () => resolve(null));
  });
  try {
    return await Promise.race([request({ signal }), calledOff]);
  } catch (error) {
    if (!signal.aborted) throw error;
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function request(options: LockOptions): Promise<Ownership> {
  return new Promise((resolve, reject) => {
    const held = Promise.withResolvers<void>();
    const wanted = Promise.withResolvers<void>();
    const asked = navigator.locks.request(lockName, options, () => {
      if (options.signal?.aborted) return;
      const channel = new BroadcastChannel(channelName);
      channel.addEventListener("message", ({ data }: MessageEvent<Word>) => {
        if (data === "who") channel.postMessage("here" satisfies Word);
        if (data === "wanted") wanted.resolve();
      });
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
