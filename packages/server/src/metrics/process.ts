import { readdirSync, statfsSync, statSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Metrics } from "./metrics.ts";

/** How often the loop is looked at. ms */
const resolution = 20;

/** Adds what the process and its disk are doing, by the names that Prometheus' own libraries use. Dispose it to end it. */
export function watchProcess(
  metrics: Metrics,
  folder: { readonly root: string; readonly database: string },
): Disposable {
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  metrics.counted("process_cpu_seconds_total", "User and system time, all threads.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const started = Date.now() / 1000 - process.uptime();
  metrics.gauge("process_start_time_seconds", "When the process began, since 1970.", () => started);
  metrics.gauge("process_resident_memory_bytes", "Memory that is resident.", () => process.memoryUsage.rss());
  metrics.gauge("process_open_fds", "File descriptors that are open.", openDescriptors);
  metrics.gauge(
    "nodejs_heap_size_used_bytes",
    "JavaScript heap of the main thread.",
    () => process.memoryUsage().heapUsed,
  );
  metrics.gauge("nodejs_eventloop_lag_mean_seconds", "Delay of the event loop since the last reading.", () =>
    lag(delay, delay.mean),
  );
  metrics.gauge("nodejs_eventloop_lag_p99_seconds", "Its 99th percentile.", () =>
    lag(delay, delay.percentile(99)),
  );
  metrics.gauge("nodejs_eventloop_lag_max_seconds", "Its longest.", () => {
    const longest = lag(delay, delay.max);
    delay.reset();
    return longest;
  });
  metrics.gauge("snug_database_bytes", "Size of the database's file.", () => statSync(folder.database).size);
  metrics.gauge("snug_disk_free_bytes", "Free space on the disk of the data folder.", () => {
    const { bavail, bsize } = statfsSync(folder.root);
    return bavail * bsize;
  });
  return { [Symbol.dispose]: () => delay.disable() };
}

/**
 * Seconds that the loop was late. The histogram holds the time from one look to the next, the wait between them
 * included; before anything was measured it gives no number: then nothing was late.
 */
export function lag({ count }: { readonly count: number }, nanoseconds: number): number {
  return count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - resolution / 1000);
}

/** Linux only. */
function openDescriptors(): number | undefined {
  if (process.platform !== "linux") return undefined;
  // Reading the folder opens one more.
  return readdirSync("/proc/self/fd").length - 1;
}
