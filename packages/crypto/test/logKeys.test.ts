import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  applyStatement,
  applyStatements,
  type Directory,
  emptyDirectory,
  firstLogKey,
  generateLogKey,
  importLogKey,
  logKeyAt,
  openCheckpoint,
  openShownCheckpoint,
  rootOf,
  serverIdOf,
  signCheckpoint,
  signLogKeyChange,
  unsafeReplay,
  unverifiedSize,
} from "@snug/crypto/identity";
import { createAccount } from "@snug/crypto/sealing";
import {
  decodeLogKeyChange,
  type Ed25519Public,
  encodeCbor,
  encodeLogKeyChange,
  type LogKeyChange,
  labels,
  type ServerId,
} from "@snug/protocol";
import { refused } from "./people.ts";

interface Key {
  readonly private: CryptoKey;
  readonly public: Ed25519Public;
}

let first: Key;
let second: Key;
let third: Key;
let server: ServerId;
/** One account, no change yet. */
let start: Directory;
before(async () => {
  [first, second, third] = [await makeKey(), await makeKey(), await makeKey()];
  server = await serverIdOf(first.public);
  const { genesis } = await createAccount({ server, display: "Alice", invite: null, now: 1 });
  start = (await applyStatement(emptyDirectory(server), genesis)).directory;
});

async function makeKey(): Promise<Key> {
  const { pkcs8, public: key } = await generateLogKey();
  return { private: await importLogKey(pkcs8), public: key };
}

/** The change from one key to another; `bent` changes what it says before the signature. */
function change(number: number, from: Key, to: Key, bent: Partial<LogKeyChange> = {}) {
  const content = { server, number, previous: from.public, next: to.public, time: 5, ...bent };
  return signLogKeyChange(content, from.private);
}

async function replay(...leaves: Uint8Array[]): Promise<Directory> {
  return (await applyStatements(start, leaves)).directory;
}

async function checkpoint(of: Directory, by: Key): Promise<string> {
  const { size, tree, logKeys } = of;
  const keys = { server, logKey: by.private, logPublic: by.public };
  return signCheckpoint({ ...keys, size, root: await rootOf(tree), appointment: logKeys.at(-1)?.leaf });
}

const known = (of: Directory) => ({ server, first: first.public, terms: of.logKeys });

test("I28: a change is a leaf of the log that every replay takes, and from its own checkpoint on the key after signs", async () => {
  const leaf = await change(1, first, second);
  const { directory, changes } = await applyStatements(start, [leaf]);
  assert.deepEqual(changes, [null]);
  assert.deepEqual([directory.size, directory.tree.size, directory.accounts.size], [2, 2, 1]);
  const at = (size: number) => logKeyAt(directory.logKeys, first.public, size);
  assert.deepEqual([at(1), at(2), at(9)], [first.public, second.public, second.public]);
  const two = await replay(leaf, await change(2, second, third));
  assert.deepEqual(logKeyAt(two.logKeys, first.public, 3), third.public);
});

test("I28: a change by another key, of another server, out of number or back to a former key is refused", async () => {
  const leaf = await change(1, first, second);
  const after = await replay(leaf);
  const take = (statement: Uint8Array, on: Directory = start) => applyStatements(on, [statement]);
  const forged = await signLogKeyChange(
    { server, number: 1, previous: first.public, next: second.public, time: 5 },
    third.private,
  );
  await assert.rejects(take(forged), refused("forbidden", /did not sign/));
  await assert.rejects(unsafeReplay(start, [forged]), refused("forbidden", /did not sign/));
  const stranger = await change(1, third, second);
  await assert.rejects(take(stranger), refused("conflict", /not the log's/));
  const again = await change(2, first, third);
  await assert.rejects(take(again, after), refused("conflict", /not the log's/));
  await assert.rejects(take(leaf, after), refused("conflict", /change 1 does not follow change 1/));
  await assert.rejects(take(await change(2, first, second)), refused("conflict", /does not follow/));
  const back = await change(2, second, first);
  await assert.rejects(take(back, after), refused("conflict", /in use before/));
  const foreign = await serverIdOf(third.public);
  const elsewhere = await change(1, first, second, { server: foreign });
  await assert.rejects(take(elsewhere), refused("forbidden", /another server/));
});

test("I28: a change cut at any byte, with a byte more or of a later version is refused; a statement is none", async () => {
  const leaf = await change(1, first, second);
  assert.deepEqual(decodeLogKeyChange(leaf)?.change.next, second.public);
  for (let length = 0; length < leaf.length; length++) {
    assert.throws(() => decodeLogKeyChange(leaf.subarray(0, length)), refused("malformed", /./));
  }
  assert.throws(() => decodeLogKeyChange(new Uint8Array([...leaf, 0])), refused("malformed", /./));
  const later = encodeLogKeyChange(encodeCbor([labels.logKey, 2, "whatever"]), new Uint8Array(64));
  assert.throws(() => decodeLogKeyChange(later), refused("upgrade", /newer/));
  const short = encodeLogKeyChange(encodeCbor([labels.logKey, 1, "whatever"]), new Uint8Array(64));
  assert.throws(() => decodeLogKeyChange(short), refused("malformed", /./));
  const { genesis } = await createAccount({ server, display: "Bob", invite: null, now: 1 });
  assert.equal(decodeLogKeyChange(genesis), null);
});

test("I28: a checkpoint counts only by the key that was in office at its size", async () => {
  const after = await replay(await change(1, first, second));
  const before = await checkpoint(start, first);
  assert.deepEqual((await openShownCheckpoint(before, known(after))).is, "signed");
  const newer = await checkpoint(after, second);
  assert.deepEqual((await openShownCheckpoint(newer, known(after))).is, "signed");
  assert.deepEqual((await openCheckpoint(newer, { server, logPublic: second.public })).size, 2);
  for (const [wrong, by] of [
    [after, first],
    [start, second],
  ] as const) {
    const note = await checkpoint(wrong, by);
    await assert.rejects(openShownCheckpoint(note, known(after)), refused("forbidden", /not signed by/));
  }
});

test("I29: another change by the same key before is two histories, whoever shows it; a key of nobody is refused", async () => {
  const ours = await replay(await change(1, first, second));
  const theirs = await replay(await change(1, first, third));
  const shown = await checkpoint(theirs, third);
  assert.deepEqual(await openShownCheckpoint(shown, known(ours)), { is: "appointed" });
  // Also where our own log has no change at all.
  assert.deepEqual(await openShownCheckpoint(shown, known(start)), { is: "appointed" });
  // A second change, behind one that we have.
  const fourth = await makeKey();
  const further = await applyStatements(ours, [await change(2, second, fourth)]);
  const later = await checkpoint(further.directory, fourth);
  assert.deepEqual(await openShownCheckpoint(later, known(ours)), { is: "appointed" });

  const forgedLeaf = await signLogKeyChange(
    { server, number: 1, previous: first.public, next: third.public, time: 5 },
    third.private,
  );
  const keys = { server, logKey: third.private, logPublic: third.public };
  const root = await rootOf(theirs.tree);
  for (const appointment of [undefined, forgedLeaf]) {
    const note = await signCheckpoint({ ...keys, size: 2, root, appointment });
    await assert.rejects(openShownCheckpoint(note, known(ours)), refused("forbidden", /./));
  }
  // The line of a change that is genuine, below a signature that is not.
  const borrowed = await signCheckpoint({
    ...{ server, logKey: fourth.private, logPublic: fourth.public, size: 2, root },
    appointment: theirs.logKeys[0]?.leaf,
  });
  await assert.rejects(openShownCheckpoint(borrowed, known(ours)), refused("forbidden", /./));
});

test("I28: the leaves lead from the server's id to a link's key, or the link is refused", async () => {
  const leaves = [await change(1, first, second), await change(2, second, third)];
  for (const linkKey of [first, second, third]) {
    const found = await firstLogKey({ server, linkKey: linkKey.public, leaves });
    assert.deepEqual(found, first.public);
  }
  assert.deepEqual(await firstLogKey({ server, linkKey: first.public, leaves: [] }), first.public);
  const other = await makeKey();
  const wrong = refused("forbidden", /the link's log key is not its server's/);
  await assert.rejects(firstLogKey({ server, linkKey: other.public, leaves }), wrong);
  await assert.rejects(firstLogKey({ server, linkKey: third.public, leaves: leaves.slice(0, 1) }), wrong);
  await assert.rejects(firstLogKey({ server, linkKey: second.public, leaves: [] }), wrong);
  await assert.rejects(
    firstLogKey({ server, linkKey: third.public, leaves: leaves.slice(1) }),
    refused("conflict", /does not follow/),
  );
});

test("I17: the size is read from a checkpoint's three lines only", async () => {
  assert.equal(unverifiedSize(await checkpoint(start, first)), 1);
  for (const bad of ["", "a\n1\n", "a\nx\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— a b\n"]) {
    assert.throws(() => unverifiedSize(bad), refused("malformed", /checkpoint/));
  }
});
