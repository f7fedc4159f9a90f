import assert from "node:assert/strict";
import { test } from "node:test";
import {
  appendLeaf,
  compareCheckpoint,
  emptyTree,
  generateLogKey,
  importLogKey,
  openCheckpoint,
  rootOf,
  serverIdOf,
  signCheckpoint,
} from "@snug/crypto/identity";
import { fromBase64url, type Hash, sha256 } from "@snug/protocol";
import { signNote } from "../src/identity/notes.ts";
import { makeRoom, refused } from "./people.ts";

async function makeLog() {
  const { pkcs8, public: logPublic } = await generateLogKey();
  const logKey = await importLogKey(pkcs8);
  return { server: await serverIdOf(logPublic), logKey, logPublic };
}

const leaf = (number: number): Promise<Hash> => sha256(new Uint8Array([number]));

async function grow(size: number, bend: (number: number) => number = (number) => number) {
  let tree = emptyTree();
  for (let number = 0; number < size; number++) tree = await appendLeaf(tree, await leaf(bend(number)));
  return tree;
}

/** RFC 6962 §2.1 as it is written, recursively. */
async function rootByDefinition(leaves: readonly Uint8Array[]): Promise<Uint8Array> {
  const hash = async (...parts: Uint8Array[]) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(parts.flatMap((part) => [...part]))));
  const [only] = leaves;
  if (!only) return hash();
  if (leaves.length === 1) return hash(new Uint8Array([0]), only);
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  const halves = [leaves.slice(0, split), leaves.slice(split)].map(rootByDefinition);
  return hash(new Uint8Array([1]), ...(await Promise.all(halves)));
}

test("I1: a server's id is the SHA-256 of its log key's 32 bytes", async () => {
  const { server, logPublic } = await makeLog();
  assert.equal(server, await sha256(fromBase64url(logPublic.x)));
});

test("I16: the root is that of the definition, for every size up to 70", async () => {
  const leaves: Uint8Array[] = [];
  let tree = emptyTree();
  for (let number = 0; number < 70; number++) {
    leaves.push(fromBase64url(await leaf(number)));
    tree = await appendLeaf(tree, await leaf(number));
    assert.deepEqual(await rootOf(tree), await rootByDefinition(leaves), `${number + 1} leaves`);
  }
});

test("I16: appending leaves the former tree as it was", async () => {
  const five = await grow(5);
  const root = await rootOf(five);
  await appendLeaf(five, await leaf(9));
  assert.deepEqual(await rootOf(five), root);
});

test("I16: the directory's leaves are the hashes of its statements", async () => {
  const { directory, people } = await makeRoom(["Alice"]);
  const [alice] = Object.values(people);
  assert(alice);
  const root = await rootByDefinition([fromBase64url(await sha256(alice.genesis))]);
  assert.deepEqual(await rootOf(directory.tree), root);
});

test("I17: a checkpoint opens under its own log key and has the form of C2SP", async () => {
  const log = await makeLog();
  const root = await rootOf(await grow(3));
  const note = await signCheckpoint({ ...log, size: 3, root });
  assert.deepEqual(await openCheckpoint(note, log), { size: 3, root });
  const lines = note.split("\n");
  assert.deepEqual(lines.slice(0, 4), [`snug/${log.server}`, "3", root.toBase64(), ""]);
  assert.match(lines[4] ?? "", new RegExp(`^— snug/${log.server} [A-Za-z0-9+/]+={0,2}$`));
  assert.equal(lines.length, 6);
});

test("I17: lines of witnesses are passed over", async () => {
  const log = await makeLog();
  const root = await rootOf(await grow(1));
  const note = await signCheckpoint({ ...log, size: 1, root });
  const witnessed = `${note}— witness.example AAAAAAAA\n`;
  assert.equal((await openCheckpoint(witnessed, log)).size, 1);
});

test("I17: a checkpoint whose signature is spelled in other base64, or has another length, is refused", async () => {
  const log = await makeLog();
  const note = await signCheckpoint({ ...log, size: 1, root: await rootOf(await grow(1)) });
  assert.match(note, /[A-Za-z0-9+/]=\n$/);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const stray = note.replace(/.(?==\n$)/, (last) => alphabet.charAt(alphabet.indexOf(last) + 1));
  for (const other of [stray, note.replace(/=\n$/, "\n")]) {
    await assert.rejects(openCheckpoint(other, log), refused("malformed", /base64/));
  }
  for (const other of [note.replace(/.{4}\n$/, "\n"), note.replace(/....\n$/, "AAAAAAAA\n")]) {
    await assert.rejects(openCheckpoint(other, log), refused("forbidden", /not signed by/));
  }
});

test("I17: a checkpoint by another key, of another server, or changed anywhere is refused", async () => {
  const log = await makeLog();
  const other = await makeLog();
  const root = await rootOf(await grow(2));
  const note = await signCheckpoint({ ...log, size: 2, root });
  await assert.rejects(openCheckpoint(note, other), refused("forbidden", /not signed by/));
  const forged = await signCheckpoint({ ...log, logKey: other.logKey, size: 2, root });
  await assert.rejects(openCheckpoint(forged, log), refused("forbidden", /not signed by/));
  await assert.rejects(
    openCheckpoint(note.replace("\n2\n", "\n3\n"), log),
    refused("forbidden", /not signed by/),
  );
  for (let at = 0; at < note.length; at++) {
    const changed = `${note.slice(0, at)}${note[at] === "B" ? "C" : "B"}${note.slice(at + 1)}`;
    await assert.rejects(openCheckpoint(changed, log), { name: "SnugError" }, `at ${at}`);
    await assert.rejects(openCheckpoint(note.slice(0, at), log), { name: "SnugError" }, `cut at ${at}`);
  }
});

test("I17: a note signed by the log key that is no checkpoint is refused", async () => {
  const log = await makeLog();
  const name = `snug/${log.server}`;
  const root = (await rootOf(await grow(1))).toBase64();
  const bodies = [
    `${name}\n01\n${root}\n`,
    `${name}\n-1\n${root}\n`,
    `${name}\n9007199254740993\n${root}\n`,
    `${name}\n1\n${root}\nextension\n`,
    `${name}\n1\n${root.slice(4)}\n`,
    `snug/other\n1\n${root}\n`,
    `${name}\n1\n`,
  ];
  for (const body of bodies) {
    const note = await signNote(body, { name, key: log.logKey, public: log.logPublic });
    await assert.rejects(openCheckpoint(note, log), refused("malformed", /not a checkpoint/), body);
  }
});

test("I18: an older checkpoint of the same history is the same, of another different, a larger one newer", async () => {
  const seven = await grow(7);
  for (let size = 0; size <= 7; size++) {
    assert.equal(await compareCheckpoint(seven, { size, root: await rootOf(await grow(size)) }), "same");
  }
  const bent = await grow(5, (number) => (number === 2 ? 99 : number));
  assert.equal(await compareCheckpoint(seven, { size: 5, root: await rootOf(bent) }), "different");
  assert.equal(await compareCheckpoint(seven, { size: 5, root: new Uint8Array() }), "different");
  assert.equal(await compareCheckpoint(seven, { size: 8, root: await rootOf(await grow(8)) }), "newer");
});
