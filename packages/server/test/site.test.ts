import assert from "node:assert/strict";
import { test } from "node:test";
import { Site } from "../src/site.ts";
import { StartError } from "../src/startError.ts";

test("P25: links name what can be reached: the name first, then this computer or the one address it listens on", () => {
  const here = new Site({ host: "127.0.0.1" });
  assert.deepEqual(here.addresses(7), ["https://localhost:7"]);
  assert.deepEqual(here.linkAddresses(7), ["http://localhost:7", "https://localhost:7"]);
  const named = new Site({ host: "0.0.0.0", name: "Snug.Example" });
  assert.deepEqual(named.addresses(7).slice(0, 2), ["https://snug.example:7", "https://localhost:7"]);
  const single = new Site({ host: "192.0.2.7" });
  assert.deepEqual(single.linkAddresses(7), ["https://192.0.2.7:7"]);
});

test("P25: behind a proxy links name the proxy's own port, and nothing else", () => {
  const of = (name?: string) =>
    new Site({ host: "0.0.0.0", trustProxy: ["10.0.0.1"], ...(name === undefined ? {} : { name }) });
  assert.deepEqual(of("snug.example").addresses(7), ["https://snug.example"]);
  assert.deepEqual(of("Snug.Example:8443").addresses(7), ["https://snug.example:8443"]);
  assert.deepEqual(of("snug.example:443").linkAddresses(7), ["http://localhost:7", "https://snug.example"]);
  assert.equal(of("snug.example:8443").name, "snug.example");
  assert.equal(of().addresses(7)[0], "https://localhost:7");
  for (const name of ["snug.example:0", "snug.example:65536", "snug.example:", ":443", "a:b"]) {
    assert.throws(() => of(name), StartError, name);
  }
  assert.throws(() => new Site({ host: "::", name: "snug.example:443" }), StartError, "without a proxy");
});

test("P24: names and proxies that are none are refused in words", () => {
  for (const name of ["", "a b", "-a.example", "a..b", "x".repeat(64), "https://a"]) {
    assert.throws(() => new Site({ host: "::", name }), StartError, name);
  }
  for (const proxy of ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/x", "::1/129"]) {
    assert.throws(() => new Site({ host: "::", trustProxy: [proxy] }), StartError, proxy);
  }
});
