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

/** A few turns of the event loop's microtasks: how long something takes, by chance. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await undefined;
}

interface Chance {
  /** How many turns each read, each send takes. */
  readonly delays: readonly number[];
  /** Whether there is room when a live row is sent. */
  readonly room: readonly boolean[];
  /** Turns between commits, and how many later each is told. */
  readonly commits: readonly (readonly [number, number])[];
  readonly after: number;
}

/** Sequences as they reach the reader, under one course of chance. */
async function deliver({ delays, room, commits, after }: Chance): Promise<number[]> {
  const rows: Row[] = [];
  const reached: number[] = [];
  let reads = 0;
  let sends = 0;
  const take = (frame: Uint8Array): void => {
    const decoded = decodeServerFrame(frame);
    assert.ok(decoded.type === "event" && decoded.event.name === "rows");
    reached.push(...decoded.event.body.rows.map(({ seq }) => seq));
  };
  const pause = (): Promise<void> => turns(delays[reads++ % delays.length] ?? 0);
  const subscription = new Subscription(stream, after, {
    read: async (_stream, from) => {
      await pause();
      const page = rows.slice(from, from + 2);
      await pause();
      return page;
    },
    send: async (frame) => {
      await pause();
      take(frame);
      return true;
    },
    sendNow: (frame) => {
      const fits = room[sends++ % room.length] ?? true;
      if (fits) take(frame);
      return fits;
    },
  });
  const running: Promise<void>[] = [];
  for (let seq = 1; seq <= after; seq++) rows.push(rowAt(seq));
  running.push(subscription.backfill());
  for (const [wait, later] of commits) {
    await turns(wait);
    const row = rowAt(rows.length + 1);
    rows.push(row);
    // Told after the commit, sometimes after a later one was, sometimes together with those before it.
    const told = later > 3 ? rows.slice(-3) : [row];
    running.push(
      turns(later).then(async () => {
        if (subscription.appended(told)) await subscription.backfill();
      }),
    );
  }
  await Promise.all(running);
  return reached;
}

test("D10: backfill, cutover and live leave no hole and make no double, whatever the order of things", async () => {
  const small = fc.integer({ min: 0, max: 6 });
  const chance = fc.record({
    delays: fc.array(small, { minLength: 1, maxLength: 5 }),
    room: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
    commits: fc.array(fc.tuple(small, small), { maxLength: 20 }),
    after: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(chance, async (of) => {
      const expected = of.commits.map((_, at) => of.after + at + 1);
      assert.deepEqual(await deliver(of), expected);
    }),
    { seed: 20_261_122, numRuns: 2000 },
  );
});
