import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeInviteLink } from "@snug/protocol";
import { type RunningServer, StartError, startServer } from "@snug/server";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw } from "../../../testing/wire.ts";
import { openOwnIdentity } from "../src/tls/authority.ts";
import { encodeNameConstraints, isLocalAddress } from "../src/tls/nameConstraints.ts";

const day = 24 * 3_600_000;
const names = ["localhost", "127.0.0.1", "::1"];

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "snug-tls-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test("P25: the leaf is renewed before its end, the authority never by itself; a new name needs both anew", async ({
  mock,
}) => {
  await using folder = await temporaryFolder();
  const first = await openOwnIdentity(folder.path, names);
  const leaf = new X509Certificate(first.cert);
  assert.ok(leaf.validToDate.getTime() - leaf.validFromDate.getTime() < 398 * day);
  assert.deepEqual(await openOwnIdentity(folder.path, names), first);
  const start = Date.now();
  mock.method(Date, "now", () => start + 330 * day);
  assert.equal((await openOwnIdentity(folder.path, names)).spki, first.spki);
  mock.method(Date, "now", () => start + 340 * day);
  const renewed = await openOwnIdentity(folder.path, names);
  assert.notEqual(renewed.spki, first.spki);
  assert.equal(renewed.fingerprint, first.fingerprint);
  // A private address may come and go; the authority vouches for those anyway.
  const moved = await openOwnIdentity(folder.path, [...names, "192.168.7.7"]);
  assert.equal(moved.fingerprint, first.fingerprint);
  assert.equal(new X509Certificate(moved.cert).checkIP("192.168.7.7"), "192.168.7.7");
  const named = await openOwnIdentity(folder.path, [...names, "snug.example"]);
  assert.notEqual(named.fingerprint, first.fingerprint);
  assert.ok(
    named.authority &&
      new X509Certificate(named.cert).verify(new X509Certificate(named.authority.pem).publicKey),
  );
  // A clock that runs ahead must not lock out whoever has pinned it.
  mock.method(Date, "now", () => start + (340 + 3650) * day);
  const ahead = await openOwnIdentity(folder.path, [...names, "snug.example"]);
  assert.equal(ahead.fingerprint, named.fingerprint);
});

test("O4: with a clock that was never set no data folder is made, one that is there starts, and neither is harmed", async ({
  mock,
}) => {
  await using folder = await temporaryFolder();
  const options = { videos: folder.path, host: "127.0.0.1", port: 0, log: "silent" } as const;
  const data = join(folder.path, "data");
  const real = Date.now;
  let time: string | null = null;
  mock.method(Date, "now", () => (time === null ? real() : Date.parse(time)));
  for (const unset of ["1970-01-01T00:00:05Z", "2024-12-31T23:59:59Z"]) {
    time = unset;
    await assert.rejects(startServer({ ...options, data }), (error) => {
      assert.ok(error instanceof StartError);
      assert.match(error.message, new RegExp(`^the clock says ${unset.slice(0, 10)}.*: set it first`));
      return true;
    });
    assert.deepEqual(await readdir(folder.path), [], "nothing is left behind");
  }
  time = null;
  const { fingerprint } = await ended(await startServer({ ...options, data }));
  time = "1970-01-01T00:00:05Z";
  assert.equal((await ended(await startServer({ ...options, data }))).fingerprint, fingerprint);
  time = null;
  await using again = await startServer({ ...options, data });
  assert.equal(again.fingerprint, fingerprint);
  const leaf = new X509Certificate(await readFile(join(data, "tls", "server.crt")));
  assert.ok(leaf.validToDate.getTime() > Date.now());
});

async function ended(server: RunningServer): Promise<RunningServer> {
  await server.close();
  return server;
}

test("P25: the authority's constraints are exactly its names, its public addresses and the local networks", () => {
  const hex = Buffer.from(encodeNameConstraints(["a.example", "2001:db8::1", "192.0.2.7"])).toString("hex");
  const trees = [
    "300b8209612e6578616d706c65",
    `30228720${"20010db8000000000000000000000001"}${"ff".repeat(16)}`,
    "300a8708c0000207ffffffff",
    "300a87087f000000ff000000",
    "300a87080a000000ff000000",
    "300a8708ac100000fff00000",
    "300a8708c0a80000ffff0000",
    `30228720${"00".repeat(15)}01${"ff".repeat(16)}`,
    `30228720fc${"00".repeat(15)}fe${"00".repeat(15)}`,
  ].join("");
  const length = trees.length / 2;
  assert.equal(hex, `3081${(length + 3).toString(16)}a081${length.toString(16)}${trees}`);
  for (const address of ["127.0.0.2", "10.1.2.3", "172.31.0.1", "192.168.0.1", "::1", "fd00::1"]) {
    assert.equal(isLocalAddress(address), true, address);
  }
  for (const address of ["128.0.0.1", "172.32.0.1", "192.0.2.1", "2001:db8::1", "fe80::1"]) {
    assert.equal(isLocalAddress(address), false, address);
  }
});

test("P25: with a certificate that the operator gives there is no authority to pin", async () => {
  await using folder = await temporaryFolder();
  const given = await openOwnIdentity(folder.path, names);
  const file = (name: string): string => join(folder.path, name);
  await using server = await bootServer({ cert: file("server.crt"), key: file("server.key") });
  assert.equal(server.spki, given.spki);
  assert.equal((await fetch(`${server.localUrl}/authority.crt`)).status, 404);
  assert.equal(decodeInviteLink(String(await server.setupLink())).authority, null);
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  assert.equal(wire.signedIn.authority, null);
});
