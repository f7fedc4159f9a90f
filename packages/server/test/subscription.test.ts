import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeServerFrame, firstPrevious, Hash, type Row, StreamId, toBase64url } from "@snug/protocol";
import fc from "fast-check";
import { Subscription } from "../src/socket/subscription.ts";

const stream = StreamId.parse("AAAAAAAAAAAAAAAAAAAAAA");
const hash = Hash.parse(firstPrevious);

function rowAt(seq: number): Row {
  const id = toBase64url(new Uint8Array(16).fill(seq % 256));
  return {
    ...{
      stream,
      seq,
      incarnation: id,
      kind: "letter",
      class: "durable",
      account: hash,
      device: id,
      id,
      counter: seq,
    },
    ...{
      generation: null,
      epoch: null,
      sealedHash: hash,
      sealed: new Uint8Array([1]),
      accepted: 0,
      expires: null,
    },
    ...{ previous: hash, rowHash: hash },
  } as unknown as Row;
}

/** Rows that one commit brings, and how the reader's connection hears of them. */
interface Commit {
  readonly rows: number;
  /** So many older ones are told again with them. */
  readonly again: number;
  /** One of those told (by its place) is told by itself instead, sooner or later. */
  readonly apart: number;
}

interface Chance {
  /** Whether there is room when a live row is sent. */
  readonly room: readonly boolean[];
  readonly commits: readonly Commit[];
  readonly after: number;
  /** Rows that wait behind the cursor at the beginning. */
  readonly waiting: number;
  /** After so many turns the reader goes away, or asks for another stream. */
  readonly ends: number | null;
}

/** More reads than any honest course takes: a reader that goes back reads for ever. */
const mostReads = 200;

interface Delivered {
  readonly reached: readonly number[];
  /** How many had reached the reader when it went away. */
  readonly beforeEnd: number;
  readonly stored: number;
}

/** What reaches the reader. Each read, send, commit and word of a commit waits for its turn. */
async function deliver(scheduler: fc.Scheduler, of: Chance): Promise<Delivered> {
  const { room, commits, after, waiting, ends } = of;
  const rows: Row[] = Array.from({ length: after + waiting }, (_, at) => rowAt(at + 1));
  const reached: number[] = [];
  const count = { sends: 0, reads: 0, beforeEnd: Number.POSITIVE_INFINITY };
  const take = (frame: Uint8Array): void => {
    const decoded = decodeServerFrame(frame);
    assert.ok(decoded.type === "event" && decoded.event.name === "rows");
    reached.push(...decoded.event.body.rows.map(({ seq }) => seq));
  };
  const turn = (what: string): Promise<string> => scheduler.schedule(Promise.resolve(what), what);
  const subscription = new Subscription(stream, after, {
    read: async (_stream, from) => {
      await turn("read begins");
      assert.ok(count.reads++ < mostReads, "it reads for ever");
      const page = rows.slice(from, from + 2);
      await turn("read ends");
      return page;
    },
    send: async (frame) => {
      await turn("send");
      // As a connection does: nothing of a subscription that has ended leaves.
      if (count.beforeEnd < Number.POSITIVE_INFINITY) return false;
      take(frame);
      return true;
    },
    sendNow: (frame) => {
      const fits = room[count.sends++ % room.length] ?? true;
      if (fits) take(frame);
      return fits;
    },
  });
  const tell = async (told: readonly Row[]): Promise<void> => {
    await turn(`row ${told.at(-1)?.seq} is told`);
    if (subscription.appended(told)) await subscription.backfill();
  };
  const commit = async (): Promise<void> => {
    const tellings: Promise<void>[] = [];
    for (const { rows: fresh, again, apart } of commits) {
      await turn("commit");
      for (let left = fresh; left > 0; left--) rows.push(rowAt(rows.length + 1));
      const told = rows.slice(Math.max(after, rows.length - fresh - again));
      const alone = told.filter((_, at) => at === apart);
      for (const list of [told.filter((row) => !alone.includes(row)), alone]) {
        if (list.length > 0) tellings.push(tell(list));
      }
    }
    await Promise.all(tellings);
  };
  const goAway = async (turns: number): Promise<void> => {
    for (let left = turns; left > 0; left--) await turn("stays");
    subscription.end();
    count.beforeEnd = reached.length;
  };
  const all = [subscription.backfill(), commit(), ...(ends === null ? [] : [goAway(ends)])];
  await scheduler.waitFor(Promise.all(all));
  return { reached, beforeEnd: count.beforeEnd, stored: rows.length };
}

const chance = fc.record({
  room: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
  commits: fc.array(
    fc.record({
      rows: fc.integer({ min: 1, max: 3 }),
      again: fc.integer({ min: 0, max: 2 }),
      apart: fc.integer({ min: 0, max: 5 }),
    }),
    { maxLength: 10 },
  ),
  after: fc.integer({ min: 0, max: 3 }),
  waiting: fc.integer({ min: 0, max: 5 }),
  ends: fc.option(fc.integer({ min: 0, max: 25 }), { freq: 3 }),
});

test("D10: backfill, cutover and live leave no hole and make no double, whatever the order of things", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), chance, async (scheduler, of) => {
      const { reached, beforeEnd, stored } = await deliver(scheduler, of);
      const expected = Array.from({ length: stored - of.after }, (_, at) => of.after + at + 1);
      // Whoever goes away has had everything up to some row, and gets nothing more.
      assert.deepEqual(reached, of.ends === null ? expected : expected.slice(0, beforeEnd));
    }),
    { seed: 20_261_122, numRuns: 1000 },
  );
});
