import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");
const number = "(?:[A-Z]{1,2}[0-9]+)";

/** The numbers that docs/spec gives out, as often as it does: a rule begins a line, or a row of a table. */
function numbersGiven(): string[] {
  const texts = globSync("docs/spec/*.md", { cwd: root }).map((file) =>
    readFileSync(join(root, file), "utf8"),
  );
  const rule = new RegExp(`^(?:- \\*\\*(${number})\\*\\*|\\| \\**(${number})\\** \\|)`, "gm");
  return texts.flatMap((text) => [...text.matchAll(rule)].map((found) => found[1] ?? found[2] ?? ""));
}

/** The numbers at the beginning of a test's title, before its colon. */
function numbersUsed(): { readonly file: string; readonly rule: string }[] {
  const files = globSync(["packages/*/test/**/*.ts", "testing/**/*.ts"], { cwd: root });
  const title = new RegExp(`["'\`]((?:${number}(?:–${number})?,? ?)+)(?:[a-z]\\w*(?:, \\w+)* ?)?: `, "g");
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return [...text.matchAll(title)].flatMap(([, rules = ""]) =>
      [...rules.matchAll(new RegExp(number, "g"))].map(([rule]) => ({ file, rule })),
    );
  });
}

test("every rule has a number of its own", () => {
  const given = numbersGiven();
  assert.ok(given.length > 200, `${given.length} rules were found`);
  assert.deepEqual(
    given.filter((rule, at) => given.indexOf(rule) !== at),
    [],
  );
});

test("every number in a test's title is a rule's", () => {
  const given = new Set(numbersGiven());
  const used = numbersUsed();
  assert.ok(used.length > 400, `${used.length} were found`);
  assert.deepEqual(
    used.filter(({ rule }) => !given.has(rule)),
    [],
  );
});
