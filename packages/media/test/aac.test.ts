import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAacConfiguration } from "../src/aac.ts";
import { MediaError } from "../src/index.ts";

const of = (hex: string): ReturnType<typeof parseAacConfiguration> =>
  parseAacConfiguration(Buffer.from(hex, "hex"));

test("V5: AAC LC, HE-AAC and HE-AAC v2 are copied and named; other object types are not", () => {
  assert.deepEqual(of("1190"), { objectType: 2, codec: "mp4a.40.2", sampleRate: 48_000, channels: 2 });
  assert.deepEqual(of("2b118800"), { objectType: 5, codec: "mp4a.40.5", sampleRate: 48_000, channels: 2 });
  assert.deepEqual(of("eb098800"), { objectType: 29, codec: "mp4a.40.29", sampleRate: 48_000, channels: 2 });
  assert.equal(of("0990"), null, "AAC Main");
  assert.equal(of("f92e0000"), null, "an escaped object type: xHE-AAC");
  assert.throws(() => of("11"), MediaError);
});
