import assert from "node:assert/strict";
import { test } from "node:test";
import { breakable } from "../src/chats/breakable.ts";
import { giantWord, hostileTexts } from "./hostileTexts.ts";

test("W19: an endless word has places to be broken at, all within reach; nothing of the text changes", () => {
  const family = "👩‍👩‍👧‍👦";
  const texts = [
    ...Object.values(hostileTexts),
    ...[giantWord, "م".repeat(32_768), family.repeat(2000), "𝒳".repeat(500), `a ${giantWord} b`, "short", ""],
  ];
  for (const text of texts) {
    const pieces = breakable(text);
    assert.equal(pieces.map((piece) => piece.text).join(""), text);
    assert.deepEqual(
      pieces.map(({ from }) => from),
      pieces.map((_, at) => pieces.slice(0, at).reduce((sum, piece) => sum + piece.text.length, 0)),
    );
    for (const { text: piece } of pieces) {
      assert.ok(piece.isWellFormed() || !text.isWellFormed());
      // A character that is longer than that stays whole.
      const longest = Math.max(0, ...(piece.match(/\S+/g) ?? []).map((word) => word.length));
      assert.ok(longest < 100 + family.length || /\p{M}{10}/u.test(piece), `${longest}`);
    }
  }
  assert.equal(
    breakable(family.repeat(2000)).every(({ text }) => text.endsWith("👦")),
    true,
  );
  assert.equal(breakable("a line of words, as people write them").length, 1);
});
