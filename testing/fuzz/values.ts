import { limits, type Operation } from "@snug/protocol";
import type { Chance } from "./chance.ts";

/** A schema of the protocol, whose parts are read to make what it takes. */
export type Schema = Operation["request"];

/** Stands in every hostile text: whatever the server says of a case, these letters must not be in it. */
export const marker = "zQ7vReflectedByTheServer";

/** Ids and bytes that mean something here, so that cases come further than the first look. */
export interface Pool {
  /** Any texts that a schema may ask for: ids, hashes, notes. */
  readonly texts: readonly string[];
  readonly bytes: readonly Uint8Array[];
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Every bound of the protocol, its neighbours, and where numbers end. */
const interesting: readonly number[] = [
  ...Object.values(limits),
  ...[0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 8.64e15],
].flatMap((number) => [number - 1, number, number + 1]);
const odd: readonly number[] = [-1, -0, 0.5, -(2 ** 53), 1e300, NaN, Infinity, -Infinity, 5e-324];

const nasty: readonly string[] = [
  "",
  " ",
  "\0",
  "\ud800",
  "\udc00x",
  "\ufeffmark",
  "\u202egnp.exe",
  "\u2066a\u2069",
  "\u200b\u200d\u2060",
  "e\u0301\u0327\u0489".repeat(40),
  "\x1b]8;;http://a\x07b\x1b]8;;\x07",
  "\x1b[2J",
  "\r\nSet-Cookie: a=b\r\n",
  `<img src=x onerror=alert(1)>`,
  `<svg onload=alert(1)>`,
  `"><script>alert(1)</script>`,
  "javascript:alert(1)",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "%2e%2e%2f",
  "' OR 1=1 --",
  "{{7*7}}",
  "𝒳".repeat(20),
  "A".repeat(43),
  "AAAAAAAAAAAAAAAAAAAAAB",
];

/** A text that nobody should believe. */
export function hostileText(chance: Chance): string {
  const core = chance.pick(nasty);
  switch (chance.below(8)) {
    case 0:
      return core;
    case 1:
      return marker.repeat(1 + chance.below(40));
    case 2:
      return core + marker;
    case 3:
      return chance.oneIn(40) ? (marker + core).repeat(chance.below(3000)) : marker;
    default:
      return marker + core;
  }
}

function randomText(chance: Chance, length: number): string {
  let text = "";
  for (let at = 0; at < length; at++) text += alphabet[chance.below(64)];
  return text;
}

/** A value of a wrong kind, or one that is too much of the right one. */
function hostileValue(chance: Chance): unknown {
  switch (chance.below(14)) {
    case 0:
    case 1:
    case 2:
      return chance.pick(interesting);
    case 3:
      return chance.pick(odd);
    case 4:
    case 5:
    case 6:
      return hostileText(chance);
    case 7:
      return chance.bytes(chance.pick([0, 1, 16, 31, 32, 33, 63, 64, 65, 300]));
    case 8:
      return chance.pick<unknown>([null, undefined, true, false]);
    case 9:
      return nested(chance, chance.pick([1, 2, 11, 12, 13, chance.oneIn(20) ? 500 : 14]));
    case 10:
      return new Array(chance.oneIn(20) ? chance.pick([256, 257, 20_000]) : chance.below(20)).fill(
        chance.pick<unknown>([0, "", null, marker]),
      );
    case 11:
      return { [hostileText(chance)]: hostileText(chance) };
    case 12:
      return new Map<unknown, unknown>([[chance.pick<unknown>([1, null, "a", true]), marker]]);
    default:
      return chance.pick([2n ** 63n, 2n ** 64n - 1n, -(2n ** 64n), 1n]);
  }
}

function nested(chance: Chance, depth: number): unknown {
  let value: unknown = marker;
  const asMap = chance.oneIn(2);
  for (let level = 0; level < depth; level++) value = asMap ? { a: value } : [value];
  return value;
}

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly element?: Schema;
  readonly innerType?: Schema;
  readonly valueType?: Schema;
  readonly options?: readonly Schema[];
  readonly items?: readonly Schema[];
  readonly values?: readonly unknown[];
  readonly entries?: Readonly<Record<string, unknown>>;
}

/** What zod keeps of the checks that were set on a schema. */
interface Bag {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly length?: number;
  readonly patterns?: ReadonlySet<RegExp>;
}

/** A value that the schema takes, or nearly: checks written as functions are met by trying. */
export function validValue(schema: Schema, chance: Chance, pool: Pool): unknown {
  const { def, bag } = schema._zod as unknown as { def: Definition; bag: Bag };
  const inner = (of: Schema): unknown => validValue(of, chance, pool);
  switch (def.type) {
    case "object":
      return Object.fromEntries(Object.entries(def.shape ?? {}).map(([name, of]) => [name, inner(of)]));
    case "array":
      return Array.from({ length: lengthOf(bag, chance, 3) }, () => def.element && inner(def.element));
    case "tuple":
      return def.items?.map(inner);
    case "record":
      return Object.fromEntries(
        Array.from({ length: chance.below(3) }, () => [
          randomText(chance, 4),
          def.valueType && inner(def.valueType),
        ]),
      );
    case "nullable":
      return chance.oneIn(3) || !def.innerType ? null : inner(def.innerType);
    case "optional":
      return chance.oneIn(3) || !def.innerType ? undefined : inner(def.innerType);
    case "union":
      return inner(chance.pick(def.options ?? []));
    case "literal":
      return chance.pick(def.values ?? []);
    case "enum":
      return chance.pick(Object.values(def.entries ?? {}));
    case "boolean":
      return chance.oneIn(2);
    case "number":
      return numberOf(bag, chance);
    case "string":
      return textOf(schema, bag, chance, pool);
    case "custom":
      return bytesOf(schema, chance, pool);
    case "null":
      return null;
    default:
      return hostileValue(chance);
  }
}

function lengthOf(bag: Bag, chance: Chance, usual: number): number {
  const { minimum = 0, maximum = 2 ** 31 } = bag;
  if (maximum <= 300 && chance.oneIn(30)) return chance.pick([minimum, maximum, maximum + 1]);
  return Math.min(maximum, minimum + chance.below(usual));
}

function numberOf({ minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: Bag, chance: Chance): number {
  switch (chance.below(6)) {
    case 0:
      return chance.pick([minimum, maximum, Math.min(minimum + 1, maximum)]);
    case 1:
      return Math.min(maximum, Math.max(minimum, chance.pick(interesting)));
    default:
      return Math.min(maximum, Math.max(minimum, 1 + chance.below(5)));
  }
}

function textOf(schema: Schema, bag: Bag, chance: Chance, pool: Pool): string {
  const tries = [
    () => chance.pick(pool.texts),
    () => chance.pick(pool.texts),
    () => `${randomText(chance, 21)}A`,
    () => `${randomText(chance, 42)}A`,
    () => randomText(chance, bag.length ?? lengthOf(bag, chance, 40)),
    () => `/m/${randomText(chance, 22)}/${randomText(chance, 22)}/master.m3u8`,
    () => randomText(chance, 8).toLowerCase(),
    () => "x".repeat(Math.min(bag.maximum ?? 5, 70_000)),
  ];
  for (const _ of tries) {
    const text = chance.pick(tries)();
    if (schema.safeParse(text).success) return text;
  }
  return chance.pick(pool.texts);
}

function bytesOf(schema: Schema, chance: Chance, pool: Pool): Uint8Array {
  for (let tries = 0; tries < 6; tries++) {
    const bytes = chance.oneIn(2)
      ? chance.pick(pool.bytes)
      : chance.bytes(chance.pick([64, 32, 16, 12, 68, 100, 1]));
    if (schema.safeParse(bytes).success) return bytes;
  }
  return chance.bytes(64);
}

/** The value with one place of it bent: replaced, left out, added to, doubled or swapped with another. */
export function bent(value: unknown, chance: Chance): unknown {
  return bendAt(value, chance, { left: chance.below(placesIn(value)) });
}

function childrenOf(value: unknown): [string | number, unknown][] | null {
  if (Array.isArray(value)) return value.map((child, at) => [at, child]);
  const plain =
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return plain ? Object.entries(value) : null;
}

function placesIn(value: unknown): number {
  return 1 + (childrenOf(value) ?? []).reduce((sum, [, child]) => sum + placesIn(child), 0);
}

function bendAt(value: unknown, chance: Chance, place: { left: number }): unknown {
  const children = childrenOf(value);
  if (place.left-- === 0)
    return children === null ? hostileValue(chance) : bentWhole(children, value, chance);
  if (children === null) return value;
  const next = children.map(([name, child]) => [
    name,
    place.left >= 0 ? bendAt(child, chance, place) : child,
  ]);
  return Array.isArray(value) ? next.map(([, child]) => child) : Object.fromEntries(next);
}

function bentWhole(children: [string | number, unknown][], value: unknown, chance: Chance): unknown {
  const parts = [...children];
  const at = chance.below(parts.length + 1);
  switch (chance.below(6)) {
    case 0:
      return hostileValue(chance);
    case 1:
      parts.splice(at, 1);
      break;
    case 2:
      parts.splice(at, 0, [hostileText(chance), hostileValue(chance)]);
      break;
    case 3:
      parts.push(...parts.slice(0, chance.below(400)));
      break;
    case 4:
      parts.push(["__proto__", { admin: true }], ["constructor", null]);
      break;
    default: {
      const other = parts[chance.below(parts.length)];
      const one = parts[at];
      if (one && other) [one[1], other[1]] = [other[1], one[1]];
    }
  }
  if (Array.isArray(value)) return parts.map(([, child]) => child);
  const made: Record<string, unknown> = {};
  for (const [name, child] of parts) {
    // `made["__proto__"] = …` would set the prototype instead of a member.
    Object.defineProperty(made, name, { value: child, enumerable: true, configurable: true, writable: true });
  }
  return made;
}
