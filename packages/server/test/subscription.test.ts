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

interface Chance {
  /** Whether there is room when a live row is sent. */
  readonly room: readonly boolean[];
  /** For each commit, how many of the newest rows are told together. */
  readonly commits: readonly number[];
  readonly after: number;
}

/** Sequences as they reach the reader. Each read, send, commit and word of a commit waits for its turn. */
async function deliver(scheduler: fc.Scheduler, { room, commits, after }: Chance): Promise<number[]> {
  const rows: Row[] = Array.from({ length: after }, (_, at) => rowAt(at + 1));
  const reached: number[] = [];
  let sends = 0;
  const take = (frame: Uint8Array): void => {
    const decoded = decodeServerFrame(frame);
    assert.ok(decoded.type === "event" && decoded.event.name === "rows");
    reached.push(...decoded.event.body.rows.map(({ seq }) => seq));
  };
  const turn = (what: string): Promise<string> => scheduler.schedule(Promise.resolve(what), what);
  const subscription = new Subscription(stream, after, {
    read: async (_stream, from) => {
      await turn("read begins");
      const page = rows.slice(from, from + 2);
      await turn("read ends");
      return page;
    },
    send: async (frame) => {
      await turn("send");
      take(frame);
      return true;
    },
    sendNow: (frame) => {
      const fits = room[sends++ % room.length] ?? true;
      if (fits) take(frame);
      return fits;
    },
  });
  /** Told after the commit, sometimes after a later one was, sometimes together with those before it. */
  const tell = async (told: readonly Row[]): Promise<void> => {
    await turn(`row ${told.at(-1)?.seq} is told`);
    if (subscription.appended(told)) await subscription.backfill();
  };
  const commit = async (): Promise<void> => {
    const tellings: Promise<void>[] = [];
    for (const together of commits) {
      await turn("commit");
      rows.push(rowAt(rows.length + 1));
      tellings.push(tell(rows.slice(Math.max(after, rows.length - together))));
    }
    await Promise.all(tellings);
  };
  await scheduler.waitFor(Promise.all([subscription.backfill(), commit()]));
  return reached;
}

const chance = fc.record({
  room: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
  commits: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 16 }),
  after: fc.integer({ min: 0, max: 3 }),
});

test("D10: backfill, cutover and live leave no hole and make no double, whatever the order of things", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), chance, async (scheduler, of) => {
      const expected = of.commits.map((_, at) => of.after + at + 1);
      assert.deepEqual(await deliver(scheduler, of), expected);
    }),
    { seed: 20_261_122, numRuns: 1500 },
  );
});
