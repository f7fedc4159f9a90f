import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Content,
  decodeCbor,
  encodeCbor,
  limits,
  MessageId,
  randomId,
  textContent,
  textProblem,
} from "@snug/protocol";

test("E9: content has one form in JSON and in CBOR", () => {
  const content = textContent("Grüße 🌻");
  assert.deepEqual(Content.parse(JSON.parse(JSON.stringify(content))), content);
  assert.deepEqual(Content.parse(decodeCbor(encodeCbor(content))), content);
});

test("E9: content with a member more or less, two parts, or a part of another type is none", () => {
  const content = textContent("x");
  const { topic: _, ...less } = content;
  const reference = { account: "no id", id: randomId(MessageId) };
  for (const other of [
    { ...content, more: 1 },
    less,
    { ...content, parts: [] },
    { ...content, parts: [...content.parts, ...content.parts] },
    { ...content, parts: [{ type: "text/html", text: "" }] },
    { ...content, inReplyTo: reference },
    { ...content, attachment: {} },
    { ...content, expires: -1 },
    { ...content, seen: new Array(17).fill({}) },
  ]) {
    assert.equal(Content.safeParse(other).success, false);
  }
});

test("E9: tab and newline are the only controls in a text; any other would be obeyed by a terminal", () => {
  assert.equal(textProblem("a\tb\nc"), null);
  for (let code = 0; code < 0xa0; code++) {
    if ((code >= 32 && code < 127) || code === 9 || code === 10) continue;
    assert.match(
      textProblem(`a${String.fromCharCode(code)}`) ?? "",
      /control characters/,
      `U+${code.toString(16)}`,
    );
  }
});

test("E9: a text is not empty, well formed, and at most 64 KiB of UTF-8", () => {
  assert.match(textProblem("") ?? "", /empty/);
  for (const half of ["\ud83c", "\udf3b", "a\ud83cb"]) assert.match(textProblem(half) ?? "", /surrogate/);
  assert.equal(textProblem("x".repeat(limits.text)), null);
  assert.equal(textProblem("🌻".repeat(limits.text / 4)), null);
  assert.match(textProblem("x".repeat(limits.text + 1)) ?? "", /65537 bytes, at most 65536/);
  assert.match(textProblem(`${"🌻".repeat(limits.text / 4)}x`) ?? "", /65537 bytes/);
});

test("E9: no text of content begins with a byte order mark, since clients keep it as CBOR (E3)", () => {
  const content = textContent("x");
  for (const other of [
    { ...content, topic: "\ufefftopic" },
    { ...content, reaction: "\ufeff" },
  ]) {
    assert.equal(Content.safeParse(other).success, false);
  }
  assert.match(textProblem("\ufeffhello") ?? "", /byte order mark/);
  assert.equal(textProblem("one\ufefftwo"), null);
});
