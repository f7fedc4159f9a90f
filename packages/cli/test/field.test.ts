import assert from "node:assert/strict";
import { test } from "node:test";
import {
  eraseBack,
  eraseForward,
  insert,
  moveLeft,
  moveRight,
  moveToStart,
  textOf,
} from "../src/terminal/field.ts";

test("the composer takes away what a person sees as one character", () => {
  const family = "👩‍👩‍👧";
  const field = insert({ before: "", after: "" }, `a${family}e\u0301`);
  assert.equal(textOf(eraseBack(field)), `a${family}`);
  assert.equal(textOf(eraseBack(eraseBack(field))), "a");
  assert.equal(textOf(eraseBack({ before: "", after: "x" })), "x");
});

test("the cursor moves over whole characters, and typing happens where it stands", () => {
  const field = insert({ before: "", after: "" }, "a👩‍👩‍👧b");
  const inside = moveLeft(moveLeft(field));
  assert.deepEqual(inside, { before: "a", after: "👩‍👩‍👧b" });
  assert.equal(textOf(insert(inside, "X")), "aX👩‍👩‍👧b");
  assert.equal(textOf(eraseForward(inside)), "ab");
  assert.deepEqual(moveRight(inside), moveLeft(field));
  assert.deepEqual(moveRight(field), field);
  assert.deepEqual(moveToStart(field), { before: "", after: "a👩‍👩‍👧b" });
});
