import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
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

/** What a visit with such headers is counted by. */
function networkOf(site: Site, peer: string, headers: Record<string, string | string[]> = {}): string | null {
  const host = "snug.example";
  const request = {
    socket: { remoteAddress: peer },
    url: "/",
    rawHeaders: ["Host", host],
    headers: { host, ...headers },
  };
  const judgement = site.judge(request as unknown as IncomingMessage);
  assert.ok(judgement.ok);
  return judgement.visit.network;
}

test("P30: a visitor is counted by address, of IPv6 by /64; this computer itself is not", () => {
  const site = new Site({ host: "::", name: "snug.example" });
  assert.equal(networkOf(site, "127.0.0.1"), null);
  assert.equal(networkOf(site, "::1"), null);
  assert.equal(networkOf(site, "::ffff:127.8.9.1"), null);
  assert.equal(networkOf(site, "192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf(site, "::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf(site, "::ffff:c000:207"), "192.0.2.7");
  assert.equal(networkOf(site, "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(networkOf(site, "2001:0DB8:1:2::"), "2001:db8:1:2::/64");
  assert.equal(networkOf(site, "2001:db8::1:2"), "2001:db8:0:0::/64");
  assert.equal(networkOf(site, "fe80::1%eth0"), "fe80:0:0:0::/64");
  // Nobody's word is believed here, but that something was forwarded is.
  assert.equal(networkOf(site, "192.0.2.7", { "x-forwarded-for": "198.51.100.1" }), "192.0.2.7");
  assert.equal(networkOf(site, "127.0.0.1", { "x-forwarded-for": "198.51.100.1" }), "127.0.0.1");
  assert.equal(networkOf(site, "127.0.0.1", { via: "1.1 somebody" }), "127.0.0.1");
});

test("P30: of what a trusted proxy says, what it wrote itself counts, whatever the visitor wrote before it", () => {
  const trustProxy = ["10.0.0.1", "127.0.0.1", "2001:db8:ffff::/48"];
  const site = new Site({ host: "::", name: "snug.example", trustProxy });
  const said = (value: string | string[], peer = "10.0.0.1"): string | null =>
    networkOf(site, peer, { "x-forwarded-for": value });
  assert.equal(said("192.0.2.7"), "192.0.2.7");
  // Forged by the visitor, added to by the proxy.
  assert.equal(said("203.0.113.9, 192.0.2.7"), "192.0.2.7");
  assert.equal(said("127.0.0.1,192.0.2.7"), "192.0.2.7");
  assert.equal(said(["203.0.113.9", "192.0.2.7"]), "192.0.2.7");
  // Through two proxies of ours: the first hop that is none of them.
  assert.equal(said("203.0.113.9, 192.0.2.7, 127.0.0.1"), "192.0.2.7");
  assert.equal(said("203.0.113.9, 192.0.2.7, 2001:db8:ffff:1::5"), "192.0.2.7");
  // Proxies only: one of their own machines asks. It is counted; only who shows no such header is not.
  assert.equal(said("127.0.0.1, 10.0.0.1"), "127.0.0.1");
  assert.equal(said("127.0.0.1", "127.0.0.1"), "127.0.0.1");
  // Spellings of proxies, and of nobody.
  assert.equal(said("192.0.2.7:4711"), "192.0.2.7");
  assert.equal(said("[2001:db8:1:2::9]:4711"), "2001:db8:1:2::/64");
  assert.equal(said("::ffff:192.0.2.7"), "192.0.2.7");
  for (const garbage of [
    "",
    ",",
    "unknown",
    "_hidden",
    "192.0.2.7.8",
    "1.2.3",
    "x".repeat(9000),
    "[::1",
    "-1",
  ]) {
    assert.equal(said(garbage), "10.0.0.1", garbage);
    assert.equal(said(`192.0.2.7, ${garbage}`), "10.0.0.1", garbage);
  }
  assert.equal(said(`unknown, 192.0.2.7`), "192.0.2.7");
  // IPv4 as IPv6, on a port that takes both.
  assert.equal(said("192.0.2.7", "::ffff:10.0.0.1"), "192.0.2.7");
  assert.equal(said("192.0.2.7", "10.0.0.2"), "10.0.0.2", "another's proxy");
  assert.deepEqual(
    ["10.0.0.1", "::ffff:127.0.0.1", "10.0.0.2"].map((peer) => site.isCounted(peer)),
    [false, false, true],
  );
});
