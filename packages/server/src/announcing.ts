import type { Leaf } from "./directoryLog.ts";
import type { Connections } from "./socket/connections.ts";
import type { Store } from "./store/store.ts";

/** Everybody hears of a new statement; devices that it ended are gone, and what waited for them alone has arrived. */
export async function announce(
  { connections, store }: { readonly connections: Connections; readonly store: Store },
  { index, entry, checkpoint, endedDevices }: Leaf,
): Promise<void> {
  connections.broadcast("directory", { from: index, entries: [entry], checkpoint });
  if (endedDevices.length === 0) return;
  const ended = endedDevices.map((device) => connections.ofDevice(device));
  // After this turn: the one who asked for it gets an answer first.
  setImmediate(() => {
    for (const connection of ended) connection?.close("signedOut");
  });
  connections.delivered(await store.settle(endedDevices));
}
