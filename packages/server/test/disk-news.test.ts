import assert from "node:assert/strict";
import { test } from "node:test";
import { tellingOfDisk } from "../src/diskNews.ts";
import type { WriteResult } from "../src/store/batch.ts";
import type { Fault } from "../src/store/faults.ts";

const fault = (code: Fault["code"]): Fault => ({
  ...{ code, message: "no" },
  inside: "Error: database or disk is full\n    at commit",
});

test("O13: a disk that refuses is told of once, with the number of what it refused when it takes changes again", () => {
  const said: string[] = [];
  let now = 0;
  let settle: (results: readonly WriteResult[]) => void = () => undefined;
  const settled: WriteResult[] = [];
  const open = tellingOfDisk(
    (_, told) => {
      settle = told.settle;
      return { post: () => undefined, close: async () => undefined };
    },
    {
      refuses: (reason) => said.push(`refuses: ${reason}`),
      takes: (refused, ms) => said.push(`takes: ${refused} in ${ms} ms`),
    },
    () => now,
  );
  open("", { settle: (results) => settled.push(...results), fail: assert.fail });
  const refused = { fault: fault("unavailable") };
  const taken = { value: null, durable: true };
  const cursor = { value: [], durable: false };
  settle([taken]);
  settle([{ fault: fault("internal") }]);
  for (now = 1000; now <= 5000; now += 1000) settle([refused, cursor, refused]);
  // Between two refusals on a disk that is nearly full.
  settle([taken]);
  settle([refused]);
  now = 15_999;
  settle([taken]);
  assert.deepEqual(said, ["refuses: Error: database or disk is full"]);
  now = 16_000;
  // Needs no disk, and proves nothing of it.
  settle([cursor]);
  settle([taken, cursor]);
  settle([taken]);
  settle([refused]);
  assert.deepEqual(said, [
    "refuses: Error: database or disk is full",
    "takes: 11 in 5000 ms",
    "refuses: Error: database or disk is full",
  ]);
  assert.equal(settled.length, 25);
});
