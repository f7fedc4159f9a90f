import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeEvent, isPresent, limits, PresenceRun, presenceRuns, takePresence } from "../src/index.ts";

test("P43: one bit is one account, the lowest of a byte first; beyond the end everybody is away", () => {
  const bits = Uint8Array.of(0b0000_0101, 0b1000_0000);
  const here = Array.from({ length: 40 }, (_, position) => position).filter((at) => isPresent(bits, at));
  assert.deepEqual(here, [0, 2, 15]);
});

test("P43: what has changed travels as runs of bytes as they are now; near ones travel together", () => {
  const before = new Uint8Array(100);
  const now = new Uint8Array(120);
  for (const at of [3, 10, 60, 119]) now[at] = at;
  assert.deepEqual(
    presenceRuns(before, now).map(({ from, bits }) => [from, bits.length]),
    [
      [3, 8],
      [60, 1],
      [119, 1],
    ],
  );
  assert.deepEqual(presenceRuns(now, now), []);
  // Taking the same again changes nothing: a run says how it is, not what happened.
  const runs = presenceRuns(before, now);
  assert.deepEqual(takePresence(takePresence(before, runs), runs), now);
});

test("P43: whoever takes all runs knows what the server knows, whatever came between them", () => {
  const states = fc.array(fc.uint8Array({ minLength: 0, maxLength: 64 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(states, (all) => {
      let [told, taken]: Uint8Array[] = [new Uint8Array(), new Uint8Array()];
      for (const state of all) {
        // Accounts are never forgotten: what says who is here does not get shorter.
        const now = new Uint8Array(Math.max(told?.length ?? 0, state.length));
        now.set(state);
        taken = takePresence(taken ?? now, presenceRuns(told ?? now, now));
        told = now;
        for (let position = 0; position < now.length * 8 + 8; position++) {
          assert.equal(isPresent(taken, position), isPresent(now, position));
        }
      }
    }),
    { seed: 20_261_122 },
  );
});

test("P43 presence: a run ends where a million accounts end; the largest change fits into a frame", () => {
  const run = (from: number, length: number): unknown => ({ from, bits: new Uint8Array(length) });
  assert.ok(PresenceRun.safeParse(run(limits.presence - 1, 1)).success);
  assert.ok(PresenceRun.safeParse(run(0, limits.presence)).success);
  for (const wrong of [run(limits.presence, 1), run(limits.presence - 1, 2), run(0, 0), run(-1, 1)]) {
    assert.ok(!PresenceRun.safeParse(wrong).success);
  }
  for (const apart of [1, 2, 16, 17, 18, 40]) {
    const now = new Uint8Array(limits.presence).map((_, at) => (at % apart === 0 ? 255 : 0));
    const { length } = encodeEvent("presence", { runs: presenceRuns(new Uint8Array(), now) });
    assert.ok(length <= limits.frame, `${length} bytes with one change in ${apart}`);
  }
});
