import assert from "node:assert/strict";
import { test } from "node:test";
import { normalizeName } from "@snug/crypto/identity";
import { limits, SnugError } from "@snug/protocol";
import fc from "fast-check";
import { scriptTable } from "../src/identity/scriptTable.ts";
import { refused } from "./people.ts";

const nameOf = (typed: string) => normalizeName(typed).name;

/** Every character that a name may have, by script. */
const characters = Object.entries(scriptTable).map(([script, lines]) => ({
  script,
  all: lines
    .flatMap((line) => line.split(" "))
    .flatMap((range) => {
      const [first = "", last = first] = range.split("-");
      const from = Number.parseInt(first, 16);
      const count = Number.parseInt(last, 16) - from + 1;
      return Array.from({ length: count }, (_, i) => String.fromCodePoint(from + i));
    }),
}));

test("I19: the normal form folds case and compatibility, and what is shown stays as written", () => {
  const table = [
    ["Alice", "alice"],
    ["  Alice ", "alice"],
    ["ＡＬＩＣＥ", "alice"],
    ["Straße", "strasse"],
    ["STRASSE", "strasse"],
    ["STRAẞE", "strasse"],
    ["Jose\u0301", "josé"],
    ["ﬁn", "fin"],
    ["Ⅷ", "viii"],
    ["Σίσυφος", "σίσυφοσ"],
    ["ΣΊΣΥΦΟΣ", "σίσυφοσ"],
    ["ΐ", "ΐ"],
    ["Iğdır", "iğdir"],
    ["İnci", "inci"],
    ["Наталья", "наталья"],
    ["田中さくら", "田中さくら"],
    ["ﾕｰﾘ", "ユーリ"],
    ["김철수", "김철수"],
    ["金철수", "金철수"],
    ["علي٣", "علي٣"],
    ["प्रिया", "प्रिया"],
    ["สมชาย", "สมชาย"],
    ["𝓐lice", "alice"],
    ["a-b_c.d9", "a-b_c.d9"],
    ["7of9", "7of9"],
    ["007", "007"],
  ] as const;
  for (const [typed, name] of table) assert.equal(nameOf(typed), name);
  assert.equal(normalizeName(" Jose\u0301 ").display, "José");
  assert.equal(normalizeName("ＡＬＩＣＥ").display, "ＡＬＩＣＥ");
});

test("I19: a name of two scripts is refused, since its letters could pass for others", () => {
  for (const typed of [
    "аlice",
    "alicе",
    "Αlice",
    "aliceさ",
    "さくら김",
    "ㄅさ",
    "ㄅ김",
    "עליalice",
    "Ваsya",
  ]) {
    assert.throws(() => normalizeName(typed), refused("name-invalid", /written in one script/), typed);
  }
});

test("I19: what is neither letter, digit, nor one of -_. is refused, and what begins with no letter or digit", () => {
  const character = refused("name-invalid", /letters, digits, "-", "_" and "\."/);
  const others = [
    "a b",
    "a\u200db",
    "a\u00adb",
    "a\u202eb",
    "a\u0301\u0301",
    "a@b",
    "a/b",
    "O'Brien",
    "😀",
    "a\u0000b",
  ];
  for (const typed of [...others, "a\ufe0f", "ᚠ", "ꬰ𐐀", "\u{e0041}", "i\u0307"]) {
    assert.throws(() => normalizeName(typed), character, JSON.stringify(typed));
  }
  assert.throws(() => normalizeName("Anna Maria"), refused("name-invalid", /not a space/));
  for (const typed of ["-a", "_a", ".a", "..", "ािप"]) {
    assert.throws(
      () => normalizeName(typed),
      refused("name-invalid", /starts with a letter or a digit/),
      typed,
    );
  }
});

test("I19: letters that can't be seen, or that look like plain Latin ones, stand in no name", () => {
  const character = refused("name-invalid", /letters, digits/);
  for (const typed of [
    "김\u115f",
    "김\u3164",
    "김\uffa0",
    "ក\u17b4",
    "ɑlice",
    "ɡreta",
    "ǃkung",
    "ㅋㅋ",
    "ⱥ",
    "ꞵ",
  ]) {
    assert.throws(() => normalizeName(typed), character, typed);
  }
  for (const typed of ["Ɛdɛ", "Ɗan", "Ŋugi", "Nguyễn", "Łukasz", "Þór"])
    assert.match(nameOf(typed), /^\p{Ll}+$/u);
});

test("I19: a name is neither empty nor longer than 32, before and after normalisation", () => {
  for (const typed of ["", "   ", "\u3000"]) {
    assert.throws(() => normalizeName(typed), refused("name-invalid", /empty/));
  }
  assert.equal(nameOf("a".repeat(limits.name)), "a".repeat(limits.name));
  const long = refused("name-invalid", /at most 32/);
  for (const typed of ["a".repeat(33), "ﬃ".repeat(11), "ß".repeat(17), "ﷺ".repeat(3), "a".repeat(100_000)]) {
    assert.throws(() => normalizeName(typed), long);
  }
  // Bounded as typed, before anything is normalised.
  assert.throws(() => normalizeName(`${" ".repeat(128)}a`), long);
  assert.throws(() => normalizeName("a\ud800"), refused("name-invalid", /surrogate/));
});

test("I19: of every character of the table the normal form is stable, and upper and lower case meet", () => {
  let taken = 0;
  for (const { script, all } of characters) {
    for (const character of all) {
      // Behind a letter of the same script, since a mark can't stand first.
      const typed = `${all.find((other) => /^\p{Lo}|\p{Ll}/u.test(other))}${character}`;
      const name = attempt(typed);
      if (name === undefined) continue;
      taken++;
      assert.equal(attempt(name), name, `${script} ${character}`);
      const upper = attempt(typed.toUpperCase());
      assert.equal(upper ?? name, name, `${script} ${character}`);
    }
  }
  assert(taken > 100_000, `${taken} characters`);
});

function attempt(typed: string): string | undefined {
  try {
    return nameOf(typed);
  } catch (error) {
    assert(error instanceof SnugError && error.code === "name-invalid");
    return undefined;
  }
}

test("I19: the table has letters, marks and digits of this runtime's Unicode and nothing else", () => {
  for (const { script, all } of characters) {
    assert(all.length > 0);
    for (const character of all) assert.match(character, /^[\p{L}\p{M}\p{Nd}]$/u, script);
  }
});

test("I19: any text either has a normal form, which is its own, or is refused as a name", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.string({ unit: "grapheme", maxLength: 20 }),
  );
  fc.assert(
    fc.property(text, (typed) => {
      const name = attempt(typed);
      if (name === undefined) return;
      assert.equal(nameOf(name), name);
      assert.equal(nameOf(normalizeName(typed).display), name);
      assert(!/[A-Z\s]/.test(name));
    }),
    { seed: 20_261_122, numRuns: 2_000 },
  );
});

test("I19: marks are no tower: at most four on one letter, and none twice in a row", () => {
  assert.equal(nameOf("กุ้ง").length, 4);
  for (const tower of ["ก\u0e49\u0e49", `ก${"\u0e49\u0e48\u0e4a\u0e4b\u0e47"}`, `ก${"\u0e49".repeat(25)}`]) {
    assert.throws(() => nameOf(tower), refused("name-invalid", /at most four marks/), JSON.stringify(tower));
  }
});
