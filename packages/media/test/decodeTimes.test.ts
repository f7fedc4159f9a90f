import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeTimes, reorderDepth } from "../src/decodeTimes.ts";

test("V8: two reordered pictures between anchors are decoded evenly, two early", () => {
  const times = Float64Array.from([0, 400, 200, 100, 300, 800, 600, 500, 700]);
  assert.equal(reorderDepth(times, times.slice().sort()), 2);
  assert.deepEqual([...decodeTimes(times, 900)], [0, 98, 99, 100, 200, 300, 400, 500, 700, 900]);
});

test("V8: without reordering decode times are the presentation's", () => {
  assert.deepEqual([...decodeTimes(Float64Array.from([10, 20, 50]), 60)], [10, 20, 50, 60]);
});

test("V8: for any order H.264 allows: rising, never late, from the first picture to the end, no overhang", () => {
  const order = fc
    .array(fc.tuple(fc.integer({ min: 17, max: 5000 }), fc.integer({ min: 0, max: 16 })), {
      minLength: 1,
      maxLength: 40,
    })
    .map((pictures) => {
      let time = 0;
      const shown = pictures.map(([gap, held], index) => {
        if (index > 0) time += gap;
        // A picture moves ahead in decode order by up to 16 places; the first stays.
        return { time, place: index === 0 ? -1 : Math.max(0, index - held) };
      });
      const decoded = shown.toSorted((a, b) => a.place - b.place);
      return { times: Float64Array.from(decoded, (picture) => picture.time), end: time + 20 };
    });
  fc.assert(
    fc.property(order, ({ end, times }) => {
      const depth = reorderDepth(times, times.slice().sort());
      fc.pre(depth <= 16);
      const decode = decodeTimes(times, end);
      assert.equal(decode[0], times[0]);
      assert.equal(decode[times.length], end);
      for (const [index, time] of times.entries()) {
        const [now, next] = [decode[index] ?? 0, decode[index + 1] ?? 0];
        assert.ok(now <= time && now < next && time + next - now <= end);
      }
    }),
    { seed: 7, numRuns: 500 },
  );
});
