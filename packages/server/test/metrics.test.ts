import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { get } from "node:https";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { SnugError } from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { patience } from "../../../testing/patience.ts";
import { type BootedServer, bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo, Wire } from "../../../testing/wire.ts";
import { Health } from "../src/health.ts";
import { Counter, expose, Histogram, Reading } from "../src/metrics/exposition.ts";
import { lag } from "../src/metrics/process.ts";
import { StartError } from "../src/startError.ts";

interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Map<string, number>;
}

/** The text format, strictly: HELP, TYPE, then the family's own samples, each once; histograms add up. */
function parse(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"));
  const families = new Map<string, Family>();
  let name = "";
  const lines = text.slice(0, -1).split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const help = /^# HELP ([a-z_][a-z0-9_]*) (\S.*)$/.exec(line);
    if (help) {
      name = help[1] ?? "";
      const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(lines[++at] ?? "");
      assert.equal(type?.[1], name);
      assert.ok(!families.has(name), name);
      assert.equal(name.endsWith("_total"), type?.[2] === "counter", name);
      families.set(name, { type: type?.[2] ?? "", help: help[2] ?? "", samples: new Map() });
      continue;
    }
    const sample =
      /^([a-z_0-9]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? ([-+.\deE]+|NaN|[+-]Inf)$/.exec(line);
    assert.ok(sample, line);
    const [, of = "", labels = "", value = ""] = sample;
    const family = families.get(name);
    assert.ok(family);
    const endings = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    assert.ok(
      endings.some((ending) => of === `${name}${ending}`),
      line,
    );
    assert.ok(!family.samples.has(`${of}${labels}`), line);
    family.samples.set(`${of}${labels}`, Number(value));
  }
  for (const [of, { type, samples }] of families) {
    if (type !== "histogram") continue;
    const buckets = [...samples].filter(([key]) => key.startsWith(`${of}_bucket`)).map(([, count]) => count);
    assert.deepEqual(
      buckets,
      [...buckets].sort((a, b) => a - b),
    );
    assert.equal(buckets.at(-1), samples.get(`${of}_count`));
  }
  return families;
}

const onLoopback = { host: "127.0.0.1", port: 0 };

async function read({ metricsUrl }: BootedServer): Promise<(sample: string) => number | undefined> {
  assert.ok(metricsUrl);
  const answer = await fetch(metricsUrl);
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const families = parse(await answer.text());
  return (sample) => families.get(sample.replace(/\{.*|_(count|sum)$/, ""))?.samples.get(sample);
}

test("O20: counters, gauges and histograms in the text format, with what must be escaped", () => {
  const counter = new Counter("a_total", "One\nand \\two.", ["label", "other"]);
  counter.count('"\\\n', "b");
  counter.count('"\\\n', "b");
  const histogram = new Histogram("h_seconds", "Times.", [0.1, 1]);
  for (const value of [0.1, 0.2, 1, 5]) histogram.observe(value);
  const unknown = new Reading("u", "Unknown.", () => undefined);
  assert.equal(
    expose([counter, histogram, unknown, new Reading("g", "Endless.", () => Number.POSITIVE_INFINITY)]),
    [
      "# HELP a_total One\\nand \\\\two.",
      "# TYPE a_total counter",
      'a_total{label="\\"\\\\\\n",other="b"} 2',
      "# HELP h_seconds Times.",
      "# TYPE h_seconds histogram",
      'h_seconds_bucket{le="0.1"} 1',
      'h_seconds_bucket{le="1"} 3',
      'h_seconds_bucket{le="+Inf"} 4',
      "h_seconds_sum 6.3",
      "h_seconds_count 4",
      "# HELP g Endless.",
      "# TYPE g gauge",
      "g +Inf",
      "",
    ].join("\n"),
  );
});

test("O20: the numbers move with what really happens", async () => {
  await using server = await bootServer({ metrics: onLoopback });
  const before = await read(server);
  assert.equal(before("snug_accounts"), 0);
  assert.equal(before("snug_rows_accepted_total"), 0);
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const letter = letterTo(alice.inbox, 1);
  await wire.request("submit", letter);
  await wire.request("submit", letter);
  await assert.rejects(wire.request("submit", letterTo(alice.inbox, 7)), { code: "out-of-order" });
  assert.equal((await fetch(`${server.localUrl}/api/library`)).status, 401);
  const silent = await Wire.open(server);
  silent.socket.send("text");
  await silent.closed;
  // Both ends of a connection hear of its end, the server perhaps a moment later.
  const after = await eventually("the close is counted", async () => {
    const now = await read(server);
    const [opened, open] = ["snug_connections_opened_total", "snug_connections"].map(now);
    return opened === 3 && open === 1 ? now : undefined;
  });
  const rose = (sample: string): number => Number(after(sample)) - Number(before(sample) ?? 0);
  assert.equal(rose("snug_accounts"), 1);
  assert.equal(rose("snug_statements"), 1);
  assert.equal(rose("snug_connections"), 1);
  // joinRaw connects once, to leave an invite open.
  assert.equal(rose("snug_connections_opened_total"), 3);
  assert.equal(rose('snug_connections_closed_total{reason="malformed"}'), 1);
  // The double is answered, not stored.
  assert.equal(rose("snug_rows_accepted_total"), 1);
  assert.equal(rose('snug_refusals_total{code="out-of-order"}'), 1);
  assert.equal(rose('snug_refusals_total{code="unauthenticated"}'), 1);
  assert.equal(rose('snug_http_requests_total{route="/api/library",status="401"}'), 1);
  assert.equal(rose('snug_http_requests_total{route="/api/join",status="200"}'), 1);
  assert.ok(rose("snug_http_request_seconds_count") >= 2);
  assert.ok(rose("snug_commit_changes_sum") >= 4);
  assert.equal(rose("snug_commit_seconds_count"), rose("snug_commit_changes_count"));
  assert.ok(Number(after("snug_commit_seconds_sum")) < 60);
  assert.ok(rose("snug_received_bytes_total") > 1000);
  assert.ok(rose("snug_sent_bytes_total") > 1000);
  assert.ok(Number(after("snug_certificate_end_timestamp_seconds")) > Date.now() / 1000);
  assert.ok(Number(after("process_resident_memory_bytes")) > 10e6);
  assert.ok(Number(after("snug_disk_free_bytes")) > 0);
});

test("O20: bytes inside TLS are counted as they travel", async () => {
  await using server = await bootServer({ metrics: onLoopback });
  const before = await read(server);
  const [answer] = await once(
    get({
      port: server.port,
      host: "127.0.0.1",
      path: "/authority.crt",
      rejectUnauthorized: false,
      agent: false,
    }),
    "response",
  );
  await once(answer.resume(), "end");
  const after = await read(server);
  // Certificate chain, key exchange and answer.
  assert.ok(Number(after("snug_sent_bytes_total")) - Number(before("snug_sent_bytes_total")) > 2000);
});

test("O20: what is shown is what the table says, and promtool has nothing against it", async (t) => {
  await using server = await bootServer({ metrics: onLoopback });
  await fetch(`${server.localUrl}/healthz`);
  const text = await (await fetch(String(server.metricsUrl))).text();
  const spec = await readFile(new URL("../../../docs/spec/operating.md", import.meta.url), "utf8");
  const documented = [...spec.matchAll(/^\| `((?:snug|process|nodejs)_[a-z0-9_]+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  const shown = [...parse(text)].map(([name, { type }]) => `${name} ${type}`);
  assert.deepEqual(shown.sort(), documented.sort());
  const checked = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
  if (checked.error) t.diagnostic("promtool is not installed: only our own parser has judged");
  else assert.equal(`${checked.status} ${checked.stdout}${checked.stderr}`, "0 ");
});

test("O20: a loop that is on time is not late", () => {
  assert.equal(lag({ count: 0 }, Number.NaN), 0);
  assert.equal(lag({ count: 9 }, 19.9e6), 0);
  assert.equal(lag({ count: 9 }, 270e6), 0.25);
});

test("O21: the listener shows two paths to GET and nothing else, and to loopback names only when it is on loopback", async () => {
  await using server = await bootServer({ metrics: onLoopback });
  const { origin } = new URL(String(server.metricsUrl));
  assert.equal((await fetch(`${origin}/healthz`)).status, 200);
  assert.equal((await fetch(`${origin}/`)).status, 404);
  assert.equal((await fetch(`${origin}/metrics`, { method: "POST" })).status, 405);
  const rebound = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { host: "rebound.example" };
    request(`${origin}/metrics`, { headers }, (answer) => resolve(answer.resume().statusCode))
      .on("error", reject)
      .end();
  });
  assert.equal(rebound, 421);
  // The main port knows no metrics.
  assert.equal((await fetch(`${server.localUrl}/metrics`)).status, 404);
  const taken = { host: "127.0.0.1", port: Number(new URL(origin).port) };
  await assert.rejects(bootServer({ metrics: taken }), (cause: Error) => {
    assert.ok(cause instanceof StartError);
    assert.match(cause.message, /metrics.*EADDRINUSE.*--metrics/);
    return true;
  });
});

test("O22: /healthz says ok and no more, also in plain HTTP to others; 503 while the store takes nothing", async () => {
  await using server = await bootServer();
  const health = async (headers: Record<string, string> = {}): Promise<string> => {
    const answer = await fetch(`${server.localUrl}/healthz`, { headers });
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await health({ via: "1.1 proxy" }), "200 ok\n");
  await server.close();
  await using held = await bootServer({ data: server.data });
  // Another program holds the database for longer than the server waits.
  using database = new DatabaseSync(join(server.data, "snug.db"), { timeout: patience });
  database.exec("BEGIN IMMEDIATE");
  const answer = await fetch(`${held.localUrl}/healthz`);
  assert.equal(`${answer.status} ${await answer.text()}`, "503 unavailable\n");
  assert.equal(answer.headers.get("cache-control"), "no-store");
});

test("O22: who asks often costs no more than one write in five seconds, and hears when it is well again", async () => {
  let now = 0;
  let asked = 0;
  let well = false;
  const reported: unknown[] = [];
  const probe = async (): Promise<void> => {
    asked++;
    if (!well) throw new SnugError("unavailable", "full");
  };
  const health = new Health({ probe }, { now: () => now, report: (cause) => reported.push(cause) });
  assert.deepEqual(await Promise.all([health.isWell(), health.isWell()]), [false, false]);
  well = true;
  now = 4999;
  assert.equal(await health.isWell(), false);
  assert.equal(asked, 1);
  assert.equal(reported.length, 1);
  now = 5000;
  assert.equal(await health.isWell(), true);
  assert.equal(asked, 2);
});
