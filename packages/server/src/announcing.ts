import type { Leaf } from "./directoryLog.ts";
import type { Connections } from "./socket/connections.ts";

/** Everybody hears of a new statement; devices that it ended are gone. */
export function announce(connections: Connections, { index, entry, checkpoint, endedDevices }: Leaf): void {
  connections.broadcast("directory", { from: index, entries: [entry], checkpoint });
  const ended = endedDevices.map((device) => connections.ofDevice(device));
  // After this turn: the one who asked for it gets an answer first.
  setImmediate(() => {
    for (const connection of ended) connection?.close("signedOut");
  });
}
