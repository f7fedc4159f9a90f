import type { Chance } from "./chance.ts";

const utf8 = new TextEncoder();

/** JSON as others write it: numbers beyond doubles, members twice, surrogates alone. */
export function jsonOf(value: unknown, chance: Chance): Uint8Array {
  const text =
    JSON.stringify(value, (_, child: unknown) => {
      if (typeof child === "bigint") return Number(child);
      if (child instanceof Map) return [...child];
      return child;
    }) ?? "undefined";
  switch (chance.below(12)) {
    case 0:
      return utf8.encode(text.replace(/\d+/, chance.pick(["1e400", "-0", "00", "9".repeat(400)])));
    case 1:
      return utf8.encode(text.replace(/^\{("[^"]*":)/, "{$1null,$1"));
    case 2:
      return utf8.encode(`${"[".repeat(chance.below(3000))}${text}`);
    case 3:
      return utf8.encode(text.replace(/:/, `:${" ".repeat(chance.below(2000))}`));
    default:
      return utf8.encode(text);
  }
}
