import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeCbor, decodeDeterministicCbor, encodeCbor, limits, SnugError } from "@snug/protocol";
import { decode, encode, rfc8949EncodeOptions } from "cborg";
import fc from "fast-check";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const malformed = (message: RegExp) => ({ name: "SnugError", code: "malformed", message });

test("E3: what RFC 8949 appendix A encodes within our subset decodes to its value, and back", () => {
  const table: [string, unknown][] = [
    ["00", 0],
    ["17", 23],
    ["1818", 24],
    ["1903e8", 1000],
    ["1a000f4240", 1_000_000],
    ["1b000000e8d4a51000", 1_000_000_000_000],
    ["20", -1],
    ["3863", -100],
    ["3903e7", -1000],
    ["f4", false],
    ["f5", true],
    ["f6", null],
    ["40", new Uint8Array()],
    ["4401020304", new Uint8Array([1, 2, 3, 4])],
    ["60", ""],
    ["6449455446", "IETF"],
    ["62c3bc", "ü"],
    ["64f0908591", "𐅑"],
    ["80", []],
    ["83010203", [1, 2, 3]],
    ["8301820203820405", [1, [2, 3], [4, 5]]],
    ["a0", {}],
    ["a26161016162820203", { a: 1, b: [2, 3] }],
    ["826161a161626163", ["a", { b: "c" }]],
  ];
  for (const [bytes, value] of table) {
    assert.deepEqual(decodeDeterministicCbor(hex(bytes)), value, bytes);
    assert.equal(encodeCbor(value).toHex(), bytes);
  }
});

test("E3: tags, indefinite lengths, undefined, other simple values and floats that are no numbers are refused", () => {
  const others = [
    "c11a514b67b0", // tag 1, a time
    "c249010000000000000000", // tag 2, a big number
    "d818456449455446", // tag 24
    "9f01ff", // indefinite array
    "bf616101ff", // indefinite map
    "5f42010243030405ff", // indefinite bytes
    "7f657374726561646d696e67ff", // indefinite text
    "ff", // break
    "f7", // undefined
    "f0", // simple value 16
    "f818", // simple value 24
    "f97e00", // NaN
    "f97c00", // Infinity
    "fb7ff8000000000000", // NaN, long
    "1c", // reserved length
    "1bffffffffffffffff", // beyond exact integers
    "3bffffffffffffffff",
  ];
  for (const bytes of others) assert.throws(() => decodeCbor(hex(bytes)), malformed(/CBOR/), bytes);
});

test("E3: a map that has a key twice is refused", () => {
  assert.throws(() => decodeCbor(hex("a2616101616102")), malformed(/CBOR/));
  assert.throws(() => decodeCbor(hex("81a3616101616202616103")), malformed(/CBOR/));
});

test("E3: text that is not UTF-8 is refused", () => {
  for (const bytes of ["61ff", "62c328", "63eda080", "a162c32800", "8161ff"]) {
    assert.throws(() => decodeCbor(hex(bytes)), malformed(/text that is not UTF-8/), bytes);
  }
});

test("E3: text that begins with a byte order mark is refused, since decoders drop it", () => {
  assert.throws(() => decodeCbor(hex("64efbbbf61")), malformed(/byte order mark/));
  assert.deepEqual(decodeCbor(hex("6461efbbbf")), "a\ufeff");
});

test("E3: bytes behind the value are refused", () => {
  for (const bytes of ["0000", "8000", "a000", "6161f6"]) {
    assert.throws(() => decodeCbor(hex(bytes)), malformed(/CBOR/), bytes);
  }
});

test("E4: what is nested deeper than 12 is refused before it is decoded; 12 is taken", () => {
  const nested = (depth: number) => new Uint8Array([...new Array(depth).fill(0x81), 0]);
  assert.doesNotThrow(() => decodeCbor(nested(limits.depth)));
  assert.throws(() => decodeCbor(nested(limits.depth + 1)), malformed(/nests deeper than 12/));
  assert.throws(() => decodeCbor(nested(200_000)), malformed(/nests deeper than 12/));
  const maps = new Uint8Array([...new Array(13).fill([0xa1, 0x60]).flat(), 0]);
  assert.throws(() => decodeCbor(maps), malformed(/nests deeper than 12/));
});

test("E4: siblings are not depth", () => {
  const wide = Array.from({ length: 1_000 }, () => [[1], [], { a: [] }]);
  assert.deepEqual(decodeCbor(encodeCbor(wide)), wide);
});

test("E4: a length or count that can't be there is refused before room is made for it", () => {
  for (const bytes of [
    "9affffffff",
    "baffffffff",
    "5affffffff",
    "7affffffff",
    "9b001fffffffffffff",
    "8201",
  ]) {
    assert.throws(() => decodeCbor(hex(bytes)), malformed(/ends in the middle/), bytes);
  }
});

test("R4 E4: more bytes than the limit are not looked at", () => {
  const large = new Uint8Array(limits.frame + 1);
  assert.throws(() => decodeCbor(large), {
    code: "too-large",
    message: /262145 bytes received, at most 262144/,
  });
  assert.throws(() => decodeCbor(hex("6449455446"), 4), {
    code: "too-large",
    message: /5 bytes received, at most 4/,
  });
});

test("E5: where bytes are hashed or signed, another spelling of the same value is refused", () => {
  const others = [
    "1800", // 0 in two bytes
    "190017", // 23 in three
    "a2616201616102", // keys out of order
    "a262616101616202", // the shorter key later
    "fb3ff0000000000000", // 1 as a float
    "f93c00",
    "7801 61", // "a" with a long head
    "9801 00",
  ];
  for (const bytes of others) {
    assert.throws(() => decodeDeterministicCbor(hex(bytes)), malformed(/CBOR/), bytes);
  }
});

const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 8 },
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: "grapheme", maxLength: 30 }).filter((text) => !text.startsWith("\ufeff")),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 8 }), tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

test("E3 E5: every value of the subset comes back as it was, from one spelling", () => {
  fc.assert(
    fc.property(value, (written) => {
      const bytes = encodeCbor(written);
      assert.deepEqual(decodeDeterministicCbor(bytes), written);
    }),
    { seed: 20_261_122, numRuns: 500 },
  );
});

test("E5: of all orders of a map's keys one is taken", () => {
  const keys = fc.uniqueArray(fc.string({ maxLength: 40 }), { minLength: 2, maxLength: 6 });
  const orders = keys.chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  );
  let taken = 0;
  fc.assert(
    fc.property(orders, value, ([all, order], held) => {
      const map = Object.fromEntries(all.map((key) => [key, held]));
      const pairs = order.flatMap((key) => [...encodeCbor(key), ...encodeCbor(held)]);
      // Around it, and inside, are maps too.
      const bytes = new Uint8Array([0xa1, 0x61, 0x6d, 0xa0 + order.length, ...pairs]);
      const isExact = Buffer.compare(encodeCbor({ m: map }), bytes) === 0;
      assert.equal(
        attempt(() => decodeDeterministicCbor(bytes)),
        isExact ? "taken" : "malformed",
      );
      assert.deepEqual(decodeCbor(bytes), { m: map });
      if (isExact) taken++;
    }),
    { seed: 20_261_123, numRuns: 1_000 },
  );
  assert.ok(taken > 100 && taken < 900, String(taken));
});

test("E3: a value cut at any byte, or with a byte behind it, is refused", () => {
  fc.assert(
    fc.property(value, (written) => {
      const bytes = encodeCbor(written);
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => decodeCbor(bytes.subarray(0, length)), malformed(/CBOR/));
      }
      assert.throws(() => decodeCbor(new Uint8Array([...bytes, 0])), malformed(/CBOR/));
    }),
    { seed: 20_261_122, numRuns: 100 },
  );
});

test("E3: any bytes decode or are refused as malformed, never otherwise, and what decodes is bounded", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const outcome = attempt(() => decodeCbor(bytes));
      assert(outcome === "malformed" || outcome === "taken", outcome);
      const exact = attempt(() => decodeDeterministicCbor(bytes));
      const isExact = outcome === "taken" && Buffer.compare(encodeCbor(decodeCbor(bytes)), bytes) === 0;
      assert.equal(exact, isExact ? "taken" : "malformed");
    }),
    { seed: 20_261_122, numRuns: 5_000 },
  );
});

function attempt(decode: () => unknown): string {
  try {
    decode();
    return "taken";
  } catch (error) {
    return error instanceof SnugError ? error.code : String(error);
  }
}

test("E3: whatever bytes come, ours takes nothing that a strict decoder of others refuses, and reads the same", () => {
  const strict = {
    strict: true,
    allowIndefinite: false,
    allowUndefined: false,
    allowInfinity: false,
    allowNaN: false,
  };
  const others = { ...strict, allowBigInt: false, rejectDuplicateMapKeys: true, tags: [] };
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.maxSafeInteger(),
      fc.string({ unit: "binary" }),
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(null, true, false, 1.5, -0.1),
      fc.array(tie("any"), { maxLength: 5 }),
      fc.dictionary(fc.string({ maxLength: 3 }), tie("any"), { maxKeys: 5 }),
    ),
  })).any;
  let taken = 0;
  fc.assert(
    fc.property(value, fc.array(change, { maxLength: 2 }), (of, changes) => {
      const bytes = new Uint8Array(encode(of, rfc8949EncodeOptions));
      for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
      let ours: unknown;
      try {
        ours = decodeCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof SnugError, String(error));
        return;
      }
      taken++;
      assert.deepEqual(ours, decode(bytes, others));
      assert.equal(encodeCbor(ours).toHex(), encode(ours, rfc8949EncodeOptions).toHex());
    }),
    { seed: 20_261_122, numRuns: 3000 },
  );
  assert.ok(taken > 500, `${taken} were taken`);
});
