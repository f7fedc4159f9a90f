import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { targets } from "./decoders.ts";
import { fuzz } from "./fuzz.ts";
import { fuzzInProcess } from "./inProcess.ts";
import { isRefusal } from "./targets.ts";

/** A case that once was a finding. */
interface Kept {
  readonly target: string;
  readonly why: string;
  /** base64 */
  readonly bytes: string;
}

const plant = (fault: string): string => new URL(`planted.ts?fault=${fault}`, import.meta.url).href;

describe("hostile input", () => {
  it("H1: 200,000 cases: no crash, no hang, nothing repeated, no fault of the server's, nothing left in memory", async () => {
    const { findings, decoders, wire, client } = await fuzz({ cases: 200_000, seed: 20_261_122 });
    assert.deepEqual(findings, []);
    // Each target sees both: a fuzzer whose cases are all refused at the first look finds nothing.
    const takesAll = ["HTTP body", "text for a terminal", "visitor", "name of a file"];
    for (const [name, { taken, of }] of Object.entries(decoders.byTarget)) {
      assert.ok(taken > 0 && taken < of === !takesAll.includes(name), `${name}: ${taken} of ${of}`);
    }
    for (const answer of ["ok", "malformed", "closed 4400", "HTTP 200", "HTTP 400", "HTTP 401", "HTTP 404"]) {
      assert.ok((wire.answers[answer] ?? 0) > 50, `${answer}: ${wire.answers[answer]}`);
    }
    // Of a hundred that have the right form; one that a device sends while another is under way is out of order.
    assert.ok((wire.answers["letter taken"] ?? 0) > 20, `letters taken: ${wire.answers["letter taken"]}`);
    // Of too few devices all but the first cases would end at the rates; whoever is first to sign in tries more than others.
    assert.ok((wire.answers["too-many"] ?? 0) < 100, `too-many: ${wire.answers["too-many"]}`);
    assert.ok(client.ended > 0);
  });

  it("H1: cases that were found once are refused", async () => {
    const all = await targets();
    const kept = JSON.parse(readFileSync(new URL("seeds/found.json", import.meta.url), "utf8")) as Kept[];
    assert.ok(kept.length > 0);
    for (const { target, why, bytes } of kept) {
      const found = all.find(({ name }) => name === target);
      assert.ok(found, target);
      await assert.rejects(async () => found.take(Buffer.from(bytes, "base64")), isRefusal, why);
    }
  });

  for (const [fault, words] of [
    ["crash", /Cannot read properties/],
    ["reflection", /what is/],
    ["inside fault", /the server failed/],
    ["slowness", /took \d{4,} ms/],
    ["leak", /bytes stay behind/],
    ["hang", /hangs/],
  ] as const) {
    it(`H1: the runner notices a ${fault}`, async () => {
      const cases = fault === "slowness" ? 1 : 1500;
      // What only takes long is waited for, on a busy machine too.
      const patience = fault === "hang" ? 2000 : 60_000;
      const { findings } = await fuzzInProcess({ cases, seed: 1, targets: plant(fault), patience });
      assert.match(findings.map(({ what }) => what).join(), words);
    });
  }
});
