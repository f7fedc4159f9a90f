/**
 * Preloaded into a server whose memory is measured: on SIGUSR2 it collects its garbage and gives back what is free, so
 * that resident memory before and after is compared by what is held. Nothing else of it is changed.
 */
import { isMainThread } from "node:worker_threads";

const { gc } = globalThis as { gc?: (of: object) => void };
if (isMainThread) process.on("SIGUSR2", () => gc?.({ type: "major", flavor: "last-resort" }));
