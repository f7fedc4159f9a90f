import assert from "node:assert/strict";
import { test } from "node:test";
import { keysOf, type Pressed, pastedKey } from "../src/terminal/keys.ts";

const nothing: Pressed = {
  upArrow: false,
  downArrow: false,
  leftArrow: false,
  rightArrow: false,
  pageUp: false,
  pageDown: false,
  home: false,
  end: false,
  return: false,
  escape: false,
  tab: false,
  backspace: false,
  delete: false,
  ctrl: false,
  meta: false,
};

test("quick typing with Enter in one piece is text and Enter", () => {
  assert.deepEqual(keysOf("hello\r", nothing), [{ is: "text", text: "hello" }, { is: "enter" }]);
  assert.deepEqual(keysOf("", { ...nothing, return: true }), [{ is: "enter" }]);
});

test("a line feed is a new line of the letter, and so is each line break of a pasted text", () => {
  assert.deepEqual(keysOf("\n", nothing), [{ is: "text", text: "\n" }]);
  assert.deepEqual(pastedKey("one\r\ntwo\rthree"), { is: "text", text: "one\ntwo\nthree" });
});

test("control characters don't get into the composer", () => {
  assert.deepEqual(pastedKey("a\u001b[31mb\u0000\u009b\u007fc\td"), { is: "text", text: "a[31mbc\td" });
});

test("Ctrl-C ends, Ctrl-U empties, other chords are nothing", () => {
  assert.deepEqual(keysOf("c", { ...nothing, ctrl: true }), [{ is: "interrupt" }]);
  assert.deepEqual(keysOf("u", { ...nothing, ctrl: true }), [{ is: "eraseAll" }]);
  assert.deepEqual(keysOf("w", { ...nothing, ctrl: true }), []);
  assert.deepEqual(keysOf("b", { ...nothing, meta: true }), []);
});
