import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { arrivals, closeCodes, errorCodes, limits, type Operation, operations, pace } from "@snug/protocol";

const spec = await readFile(new URL("../../../docs/spec/protocol.md", import.meta.url), "utf8");

function section(title: string): string {
  return spec.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
}

test("P18: the written lists of errors, close codes and limits are the ones that the code has", () => {
  const errors = [...section("Errors").matchAll(/`([a-z-]+)`/g)].map(([, code]) => code);
  assert.deepEqual(errors, [...errorCodes]);
  const codes = [...section("Close codes").matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, code, name]) => [
    name,
    Number(code),
  ]);
  assert.deepEqual(Object.fromEntries(codes), closeCodes);
  const written = [...section("Limits").matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  assert.deepEqual(Object.fromEntries(written), limits);
});

test("P31: the written rates are the ones that the code has", () => {
  const lines = section("Rates").matchAll(
    /^\| (?:`([a-z-]+)`|([\w ]+)) \| (\d+) \| (\d+) \| (an? \w+) \|$/gm,
  );
  const written = [...lines].map(([, name, words, burst, perSecond, of]) => [
    name ?? words,
    { burst: Number(burst), perSecond: Number(perSecond), of },
  ]);
  const rated = Object.entries(operations).flatMap(([name, operation]: [string, Operation]) =>
    operation.rate
      ? [[name, { ...operation.rate, of: isOfDevice(operation) ? "a device" : "an address" }]]
      : [],
  );
  assert.deepEqual(Object.fromEntries(written), {
    ...Object.fromEntries(rated),
    "all requests": { ...pace, of: "a device" },
    WebSockets: { ...arrivals, of: "an address" },
  });
});

/** Whoever posts shows no more than a secret; what is read is read by somebody. */
function isOfDevice({ transport }: Operation): boolean {
  return transport === "socket" || transport.method === "GET";
}
