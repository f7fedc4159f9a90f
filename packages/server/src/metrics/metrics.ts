import type { OpenWriter } from "../store/sqliteStore.ts";
import { Counter, expose, Histogram, type Metric, Reading, type Series } from "./exposition.ts";

/** What a running server counts (docs/spec/operating.md, O20): increments only, no time is taken for them. */
export class Metrics {
  readonly opened: Counter = new Counter("snug_connections_opened_total", "WebSockets that were opened.");
  readonly closed: Counter = new Counter(
    "snug_connections_closed_total",
    "WebSockets that were closed, by reason.",
    ["reason"],
  );
  readonly #accepted = new Counter("snug_rows_accepted_total", "Rows that are in the log, fsynced.");
  /** The number itself: it rises with every letter. */
  readonly accepted: Series = this.#accepted.of();
  readonly refused: Counter = new Counter("snug_refusals_total", "Errors that were answered, by code.", [
    "code",
  ]);
  readonly requests: Counter = new Counter(
    "snug_http_requests_total",
    "HTTP requests that were answered, by the route's pattern and status.",
    ["route", "status"],
  );
  readonly requestSeconds: Histogram = new Histogram(
    "snug_http_request_seconds",
    "Time from an HTTP request's headers to the end of its answer.",
    [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
  );
  readonly segments: Counter = new Counter("snug_segments_total", "Media segments that were answered.");
  readonly renewals: Counter = new Counter(
    "snug_certificate_renewals_total",
    "Certificates taken while running.",
  );
  readonly renewalFailures: Counter = new Counter(
    "snug_certificate_failures_total",
    "New reasons for which a newer certificate could not be used.",
  );
  readonly #batch = new Histogram(
    "snug_commit_changes",
    "Changes of the database in one transaction.",
    [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000],
  );
  readonly #commit = new Histogram(
    "snug_commit_seconds",
    "Time from the oldest change of a transaction to its fsynced answer.",
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
  );
  readonly #all: Metric[] = [
    this.opened,
    this.closed,
    this.#accepted,
    this.refused,
    this.requests,
    this.requestSeconds,
    this.segments,
    this.renewals,
    this.renewalFailures,
    this.#batch,
    this.#commit,
  ];

  /** Adds a gauge that is read when it is asked for. */
  gauge(name: string, help: string, read: () => number | undefined): void {
    this.#all.push(new Reading(name, help, read));
  }

  /** Adds a number that something else counts. */
  counted(name: string, help: string, read: () => number | undefined): void {
    this.#all.push(new Reading(name, help, read, "counter"));
  }

  /** A writer whose transactions are counted: their size, and how long their oldest change waited. */
  measured(open: OpenWriter): OpenWriter {
    return (path, told) => {
      const posted: { readonly at: number; changes: number }[] = [];
      const writer = open(path, {
        fail: told.fail,
        settle: (results) => {
          this.#batch.observe(results.length);
          this.#commit.observe((performance.now() - (posted[0]?.at ?? 0)) / 1000);
          let left = results.length;
          for (let first = posted[0]; first && left > 0; first = posted[0]) {
            const taken = Math.min(left, first.changes);
            left -= taken;
            first.changes -= taken;
            if (first.changes === 0) posted.shift();
          }
          told.settle(results);
        },
      });
      return {
        post: (calls) => {
          posted.push({ at: performance.now(), changes: calls.length });
          writer.post(calls);
        },
        close: () => writer.close(),
      };
    };
  }

  /** All of it, in Prometheus' text format. */
  text(): string {
    return expose(this.#all);
  }
}
