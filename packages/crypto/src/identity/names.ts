import { limits, SnugError } from "@snug/protocol";
import { scriptTable } from "./scriptTable.ts";

type Script = keyof typeof scriptTable;
interface Range {
  readonly first: number;
  readonly last: number;
  readonly systems: readonly string[];
}

/** Writing systems that a script is part of; every other script is a system of its own. */
const systems: { readonly [S in Script]?: readonly string[] } = {
  Han: ["Japanese", "Korean", "Chinese"],
  Hiragana: ["Japanese"],
  Katakana: ["Japanese"],
  Hangul: ["Korean"],
  Bopomofo: ["Chinese"],
};

const ranges: readonly Range[] = Object.entries(scriptTable)
  .flatMap(([script, lines]) =>
    lines
      .flatMap((line) => line.split(" "))
      .map((range) => {
        const [first = "", last = first] = range.split("-");
        return {
          first: Number.parseInt(first, 16),
          last: Number.parseInt(last, 16),
          systems: systems[script as Script] ?? [script],
        };
      }),
  )
  .sort((a, b) => a.first - b.first);

/** Writing systems a code point may stand in; undefined when no name may have it. */
function systemsOf(code: number): readonly string[] | undefined {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (!range) return undefined;
    if (code < range.first) high = middle - 1;
    else if (code > range.last) low = middle + 1;
    else return range.systems;
  }
  return undefined;
}

/**
 * Folds case by code point, upper then lower, so that ß meets ss and ς meets σ, without the context rules of
 * toLowerCase. İ loses its dot, because the dot left alone would be a mark of no script.
 */
function foldCase(text: string): string {
  let folded = "";
  for (const character of text) {
    for (const upper of character === "İ" ? "I" : character.toUpperCase()) folded += upper.toLowerCase();
  }
  return folded;
}

/** NFKC and case folding until nothing changes: a normal form is its own normal form. */
function fold(text: string): string {
  let before = text;
  let after = foldCase(before.normalize("NFKC")).normalize("NFKC");
  while (after !== before) {
    before = after;
    after = foldCase(before).normalize("NFKC");
  }
  return after;
}

const invalid = (why: string): SnugError => new SnugError("name-invalid", why);

/**
 * A name as typed → as shown (NFC, trimmed) and its normal form (NFKC, case folded, one script), by which it is unique.
 * Throws SnugError `name-invalid` with a message for people.
 */
export function normalizeName(typed: string): { display: string; name: string } {
  if (!typed.isWellFormed()) throw invalid("the name has half of a surrogate pair");
  // Bounded before normalisation, which can make one character eighteen.
  if (typed.length > 4 * limits.name) throw invalid(`a name has at most ${limits.name} characters`);
  const display = typed.trim().normalize("NFC");
  const name = fold(display);
  if (name.length === 0) throw invalid("the name is empty");
  if (name.length > limits.name || display.length > limits.name) {
    throw invalid(`a name has at most ${limits.name} characters`);
  }
  checkCharacters(name);
  return { display, name };
}

function checkCharacters(name: string): void {
  if (/^[-_.]/.test(name)) throw invalid("a name starts with a letter or a digit");
  let possible: readonly string[] | undefined;
  for (const character of name) {
    if (/[0-9_.-]/.test(character)) continue;
    const of = systemsOf(character.codePointAt(0) ?? 0);
    if (!of) throw invalid(`a name has letters, digits, "-", "_" and "." only, not ${spell(character)}`);
    possible = possible ? possible.filter((system) => of.includes(system)) : of;
    if (possible.length === 0) {
      throw invalid(
        `a name is written in one script; ${spell(character)} is of another than what stands before`,
      );
    }
  }
  if (/\p{Mn}{5}|(\p{Mn})\1/u.test(name)) {
    throw invalid("a name has at most four marks on one letter, and none twice in a row");
  }
  if (/^\p{M}/u.test(name)) throw invalid("a name starts with a letter or a digit");
}

function spell(character: string): string {
  if (character === " ") return "a space";
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? `"${character}" (U+${code})` : `U+${code}`;
}
