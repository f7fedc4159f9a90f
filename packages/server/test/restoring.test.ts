import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import {
  admitOf,
  applyStatements,
  emptyDirectory,
  generateLogKey,
  importLogKey,
  nextHead,
  signCheckpoint,
} from "@snug/crypto/identity";
import { signStatement } from "@snug/crypto/sealing";
import {
  type DirectoryEntry,
  Ed25519Public,
  encodeWrappedKeys,
  limits,
  type Row,
  randomId,
  rowHashInput,
  StreamId,
  sha256,
  toBase64url,
} from "@snug/protocol";
import { adoptFolder, finishRestoring, type RunningServer, requestLogKeyRotation } from "@snug/server";
import { type BootedServer, bootServer, startAgain } from "../../../testing/server.ts";
import {
  inviteRaw,
  joinRaw,
  letterTo,
  post,
  type RawPerson,
  Wire,
  type WireServer,
} from "../../../testing/wire.ts";
import { refused } from "./refused.ts";

/** The directory as a device has it. */
interface Known {
  readonly entries: readonly DirectoryEntry[];
  readonly checkpoint: string;
}

/** A server whose folder can be put back to what it was when Alice, Bob and Mallory were there, and nothing else. */
class PutBack implements AsyncDisposable {
  readonly booted: BootedServer;
  readonly alice: RawPerson;
  readonly bob: RawPerson;
  readonly mallory: RawPerson;
  readonly #copy: string;
  #running: RunningServer;

  private constructor(
    booted: BootedServer,
    people: readonly [RawPerson, RawPerson, RawPerson],
    copy: string,
  ) {
    this.booted = booted;
    [this.alice, this.bob, this.mallory] = people;
    this.#copy = copy;
    this.#running = booted;
  }

  static async open(of: { readonly inboxOfFirst?: StreamId } = {}): Promise<PutBack> {
    const booted = await bootServer();
    const people = [
      await joinRaw(booted, "alice"),
      await joinRaw(booted, "bob"),
      await joinRaw(booted, "mallory"),
    ] as const;
    const room = new PutBack(booted, people, await mkdtemp(join(tmpdir(), "snug-put-back-")));
    await booted.close();
    if (of.inboxOfFirst) {
      using database = new DatabaseSync(join(booted.data, "snug.db"));
      const { inbox } = database.prepare("SELECT inbox FROM statements WHERE idx = 0").get() ?? {};
      for (const change of [
        "UPDATE statements SET inbox = ? WHERE inbox = ?",
        "UPDATE accounts SET inbox = ? WHERE inbox = ?",
        "UPDATE streams SET stream = ? WHERE stream = ?",
      ]) {
        database.prepare(change).run(of.inboxOfFirst, String(inbox));
      }
    }
    await cp(booted.data, room.#copy, { recursive: true });
    await room.start();
    return room;
  }

  get place(): WireServer {
    return { ...this.booted, setupLink: () => this.#running.setupLink() };
  }

  async start(): Promise<void> {
    this.#running = await startAgain(this.booted);
  }

  async stop(): Promise<void> {
    await this.#running.close();
  }

  async putBack(when = Date.now()): Promise<void> {
    await this.stop();
    await rm(this.booted.data, { recursive: true });
    await cp(this.#copy, this.booted.data, { recursive: true });
    await adoptFolder(this.booted.data, when);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.booted[Symbol.asyncDispose]();
    await rm(this.#copy, { recursive: true });
  }
}

async function known(person: RawPerson): Promise<Known> {
  await using wire = await person.connect();
  const { entries, size, checkpoint } = await wire.request("directory-read", { from: 0 });
  assert.equal(entries.length, size);
  return { entries, checkpoint };
}

/** What an inbox holds. */
async function rowsOf(person: RawPerson): Promise<Row[]> {
  await using wire = await person.connect();
  const { incarnation } = wire.signedIn;
  const { head } = await wire.request("stream-read", { stream: person.inbox, incarnation, after: 0 });
  const rows: Row[] = [];
  while (rows.length < head) rows.push(...(await wire.next("rows")).rows);
  return rows;
}

async function send(from: RawPerson, to: RawPerson, counters: readonly number[]): Promise<void> {
  await using wire = await from.connect();
  for (const counter of counters) await wire.request("submit", letterTo(to.inbox, counter));
}

const waits = (what: Promise<unknown>): Promise<void> => refused({ code: "unavailable" }, what);

test("D18, D19: a restored server takes nothing new where something may still come back, and all of it afterwards", async () => {
  await using room = await PutBack.open();
  const { alice, bob, mallory, place } = room;
  const secret = await (async () => {
    await using wire = await alice.connect();
    return (await inviteRaw(wire, alice.account)).secret;
  })();
  await room.putBack();
  // Whoever had an invite asks again for one.
  const admit = toBase64url(await admitOf(secret));
  await refused({ code: "invite-invalid" }, post(place, "/api/invite", { admit }));
  await waits(post(place, "/api/join", { admit, genesis: "AAAA", recovery: "AAAA" }));

  await using stranger = await Wire.open(place);
  assert.equal((await stranger.next("hello")).restoring, true);
  await using ofAlice = await alice.connect(place);
  await using ofBob = await bob.connect(place);
  const letter = letterTo(bob.inbox, 1);
  await waits(ofAlice.request("submit", letter));
  await ofBob.request("restore-done", { counters: [] });
  // Bob's devices are back, Alice's is not: what it has sent is not known for sure.
  await waits(ofAlice.request("submit", letter));
  await ofAlice.request("restore-done", { counters: [] });
  await ofAlice.next("restored");
  assert.equal((await ofAlice.request("submit", letter)).seq, 1);
  await waits(ofAlice.request("submit", letterTo(mallory.inbox, 1)));
  await waits(ofAlice.request("statement-append", { statement: new Uint8Array([1]) }));
  await waits(inviteRaw(ofAlice, alice.account));

  await using ofMallory = await mallory.connect(place);
  await ofMallory.request("restore-done", { counters: [] });
  await inviteRaw(ofAlice, alice.account);
  await using later = await Wire.open(place);
  assert.equal((await later.next("hello")).restoring, false);
});

test("D19: the waiting ends after a day, or when the operator says so; over a restart it goes on", async () => {
  await using room = await PutBack.open();
  const { alice, bob, place } = room;
  const restoring = async (): Promise<boolean> => {
    await using wire = await Wire.open(place);
    return (await wire.next("hello")).restoring;
  };
  await room.putBack(Date.now() - limits.restoring);
  assert.equal(await restoring(), false);
  await room.putBack(Date.now() - limits.restoring + 600_000);
  assert.equal(await restoring(), true);
  await using wire = await alice.connect(place);
  await wire.request("restore-done", { counters: [] });
  await room.stop();
  await room.start();
  await using again = await alice.connect(place);
  // Alice's word is remembered, Bob's is still missing.
  await again.request("submit", letterTo(alice.inbox, 1));
  await waits(again.request("submit", letterTo(bob.inbox, 1)));
  await room.stop();
  await finishRestoring(room.booted.data);
  await room.start();
  await using last = await alice.connect(place);
  await last.request("submit", letterTo(bob.inbox, 1));
});

test("D20: statements come back from whoever was shown them, exactly as the log key had signed them", async ({
  mock,
}) => {
  await using room = await PutBack.open();
  const { alice, bob, place } = room;
  const before = await known(alice);
  const carol = await joinRaw(room.booted, "carol");
  const dave = await joinRaw(room.booted, "dave");
  const { entries, checkpoint } = await known(carol);
  const from = before.entries.length;
  const missing = entries.slice(from);
  await room.putBack();
  // Carol is unknown, and proves that she was here. However long that takes, she is not too slow to sign in.
  mock.timers.enable({ apis: ["setTimeout"] });
  await using wire = await Wire.open(place);
  await wire.next("hello");
  const bring = (of: Partial<Known & { from: number }>): Promise<{ size: number }> =>
    wire.request("restore-statements", { from, checkpoint, ...of, entries: [...(of.entries ?? missing)] });
  const { pkcs8, public: logPublic } = await generateLogKey();
  const logKey = await importLogKey(pkcs8);
  const root = new Uint8Array(32);
  const forged = await signCheckpoint({ server: place.serverId, logKey, logPublic, size: 5, root });
  await refused({ code: "forbidden" }, bring({ checkpoint: forged }));
  await refused({ code: "malformed" }, bring({ checkpoint: "" }));
  const [first, second] = missing;
  assert.ok(first && second && missing.length === 2);
  await assert.rejects(bring({ entries: [second, first] }));
  await refused({ code: "conflict" }, bring({ entries: [{ ...first, inbox: null }, second] }));
  await refused({ code: "conflict" }, bring({ entries: [{ ...first, inbox: alice.inbox }, second] }));
  // I30: a new one that nobody has would lock her out.
  const wrong = { ...first, inbox: randomId(StreamId) };
  await refused(
    { code: "conflict", message: "an inbox that is not its account's" },
    bring({ entries: [wrong, second] }),
  );
  await refused({ code: "conflict" }, bring({ entries: [first, second, second] }));
  // Out of place: not looked at, and told what is missing.
  assert.deepEqual(await bring({ from: 0, entries: [] }), { size: from });
  assert.deepEqual(await bring({ from: from + 1, entries: [second] }), { size: from });
  // In pages; nothing is there before the last one, and nothing of another connection's is mixed in.
  assert.deepEqual(await bring({ entries: [first] }), { size: from + 1 });
  assert.equal((await known({ ...alice, connect: () => alice.connect(place) })).entries.length, from);
  assert.deepEqual(await bring({ from: from + 1, entries: [second] }), { size: from + 2 });
  assert.deepEqual(await bring({ from: from + 2, entries: [] }), { size: from + 2 });
  const again = await known({ ...bob, connect: () => bob.connect(place) });
  assert.deepEqual(again, { entries, checkpoint });
  await using ofCarol = await carol.connect(place);
  assert.equal(ofCarol.signedIn.inbox, carol.inbox);
  await using ofDave = await dave.connect(place);
  await ofDave.request("restore-done", { counters: [] });
  // D22: her wrapped keys, once; never another's, and nobody's that are there.
  const wrapped = async (of: RawPerson): Promise<Uint8Array> => {
    using database = new DatabaseSync(join(room.booted.data, "snug.db"), { readOnly: true });
    const found = database.prepare("SELECT recovery FROM accounts WHERE account = ?").get(of.account);
    return found?.recovery as Uint8Array;
  };
  assert.equal((await wrapped(carol)).length, 0);
  const done = (recovery: Uint8Array<ArrayBuffer>) =>
    ofCarol.request("restore-done", { counters: [], recovery });
  await refused({ code: "forbidden" }, done(dave.created.recovery));
  await refused({ code: "malformed" }, done(new Uint8Array(100)));
  await done(carol.created.recovery);
  assert.deepEqual(await wrapped(carol), carol.created.recovery);
  assert.equal((await wrapped(dave)).length, 0);
  const other = { server: place.serverId, account: carol.account, nonce: new Uint8Array(12) };
  await done(encodeWrappedKeys({ ...other, sealed: new Uint8Array(300) }));
  assert.deepEqual(await wrapped(carol), carol.created.recovery);
  await ofCarol.request("submit", letterTo(dave.inbox, 1));
});

test("D20, I30: a server that was begun when inboxes were random takes one back as it is brought", async ({
  mock,
}) => {
  await using room = await PutBack.open({ inboxOfFirst: randomId(StreamId) });
  const { alice, place } = room;
  const before = await known(alice);
  await joinRaw(room.booted, "carol");
  const { entries, checkpoint } = await known(alice);
  await room.putBack();
  mock.timers.enable({ apis: ["setTimeout"] });
  await using wire = await Wire.open(place);
  await wire.next("hello");
  const from = before.entries.length;
  const [genesis] = entries.slice(from);
  assert.ok(genesis);
  const random = { ...genesis, inbox: randomId(StreamId) };
  await wire.request("restore-statements", { from, entries: [random], checkpoint });
  const after = await known({ ...alice, connect: () => alice.connect(place) });
  assert.equal(after.entries.at(-1)?.inbox, random.inbox);
});

test("D26: what came after a change of the log key does not come back to a server without the new one, and nothing of it is kept", async ({
  mock,
}) => {
  await using room = await PutBack.open();
  const { alice, place } = room;
  const before = await known(alice);
  await requestLogKeyRotation(room.booted.data);
  await joinRaw(room.booted, "carol");
  const { entries, checkpoint } = await known(alice);
  assert.equal(entries.length, before.entries.length + 2);
  await room.putBack();
  mock.timers.enable({ apis: ["setTimeout"] });
  await using wire = await Wire.open(place);
  await wire.next("hello");
  const from = before.entries.length;
  const message =
    "the log key was changed after the backup that this server was restored from; only a backup made since then has the key";
  const bring = wire.request("restore-statements", { from, entries: entries.slice(from), checkpoint });
  await refused({ code: "conflict", message }, bring);
  assert.deepEqual(await known({ ...alice, connect: () => alice.connect(place) }), before);
});

test("D20: at most 4 MiB of statements wait for their checkpoint", async () => {
  await using room = await PutBack.open();
  const { alice, place } = room;
  await room.putBack();
  const { size } = await (async () => {
    await using wire = await alice.connect(place);
    return await wire.request("directory-read", { from: 0 });
  })();
  const keys = join(room.booted.data, "keys");
  const logKey = await importLogKey(await readFile(join(keys, "log.key")));
  const logPublic = Ed25519Public.parse(JSON.parse(await readFile(join(keys, "log.pub"), "utf8")));
  const root = new Uint8Array(32);
  const checkpoint = await signCheckpoint({ server: place.serverId, logKey, logPublic, size: 9999, root });
  await using wire = await alice.connect(place);
  const page = Array.from({ length: 15 }, () => ({
    statement: new Uint8Array(limits.statement),
    inbox: null,
  }));
  const pages = Math.floor(limits.restoredStatements / (page.length * limits.statement));
  for (let from = size, number = 0; number <= pages; number++) {
    const bring = wire.request("restore-statements", { from, entries: page, checkpoint });
    if (number === pages) await refused({ code: "too-large" }, bring);
    else from = (await bring).size;
  }
  // What waited is let go.
  assert.deepEqual(await wire.request("restore-statements", { from: 0, entries: [], checkpoint }), { size });
});

test("D21: rows come back to their owner's inbox as they were, or not at all", async () => {
  await using room = await PutBack.open();
  const { alice, bob, mallory, place } = room;
  await send(alice, bob, [1, 2, 3]);
  await send(mallory, bob, [1]);
  const rows = await rowsOf(bob);
  await room.putBack();
  await using wire = await bob.connect(place);
  const stream = bob.inbox;
  const bring = (...some: Row[]): Promise<{ head: number }> =>
    wire.request("restore-rows", { stream, rows: some });
  const [one, two, three, four] = rows;
  assert.ok(one && two && three && four);
  const remade = async (row: Row): Promise<Row> => ({ ...row, rowHash: await sha256(rowHashInput(row)) });
  const wrong: Row[] = [
    two,
    { ...one, sealed: new Uint8Array(100) },
    { ...one, accepted: one.accepted + 1 },
    await remade({ ...one, incarnation: wire.signedIn.incarnation }),
    await remade({ ...one, device: randomDevice(one) }),
    await remade({ ...one, account: mallory.account }),
    { ...one, stream: mallory.inbox },
  ];
  for (const row of wrong) await refused({ code: "conflict" }, bring(row));
  await refused({ code: "conflict" }, bring(one, two, await remade({ ...three, id: two.id })));
  const foreign = { stream: alice.inbox, rows: [{ ...one, stream: alice.inbox }] };
  await refused({ code: "not-found" }, wire.request("restore-rows", foreign));
  await refused({ code: "not-found" }, wire.request("restore-compare", { stream: alice.inbox, seqs: [1] }));
  await refused(
    { code: "not-found" },
    wire.request("restore-rows", { stream: randomId(StreamId), rows: [one] }),
  );
  assert.deepEqual(await wire.request("restore-compare", { stream, seqs: [1, 2] }), {
    head: 0,
    hashes: [null, null],
  });

  assert.deepEqual(await bring(one, { ...two, sealed: null }), { head: 2 });
  assert.deepEqual(await bring(one, two, three), { head: 3 });
  const other = await remade({ ...two, counter: 9 });
  await refused({ code: "conflict", message: "another row stands at 2 of this inbox" }, bring(other));
  assert.deepEqual(await wire.request("restore-compare", { stream, seqs: [3, 4] }), {
    head: 3,
    hashes: [three.rowHash, null],
  });
  await using ofAlice = await alice.connect(place);
  await ofAlice.request("restore-done", { counters: [] });
  await wire.request("restore-done", { counters: [] });
  // The place is given to another: the fourth comes too late.
  const fresh = await ofAlice.request("submit", letterTo(stream, 4));
  assert.equal(fresh.seq, 4);
  await refused({ code: "conflict", message: "another row stands at 4 of this inbox" }, bring(four));
  const late = await remade({ ...four, seq: 5, previous: fresh.rowHash });
  await refused(
    { code: "conflict", message: "this inbox has gone on since the server was restored" },
    bring(late),
  );
  const back = await rowsOf({ ...bob, connect: () => bob.connect(place) });
  assert.deepEqual(back.slice(0, 3), [one, { ...two, sealed: null }, three]);
});

test("D5, D22: counting goes on behind what came back and what a device says it has used; what is offered again is known", async () => {
  await using room = await PutBack.open();
  const { alice, bob, mallory, place } = room;
  const letters = [1, 2, 3].map((counter) => letterTo(bob.inbox, counter));
  const accepted = await (async () => {
    await using wire = await alice.connect();
    return await Promise.all(letters.map((letter) => wire.request("submit", letter)));
  })();
  const rows = await rowsOf(bob);
  await room.putBack();
  await using ofBob = await bob.connect(place);
  await ofBob.request("restore-rows", { stream: bob.inbox, rows: rows.slice(0, 2) });
  await ofBob.request("restore-done", { counters: [] });
  await using ofAlice = await alice.connect(place);
  await using ofMallory = await mallory.connect(place);
  // Delivered up to the first, says Alice's device; the server knows better.
  const { counters } = await ofAlice.request("restore-done", {
    counters: [
      { stream: bob.inbox, counter: 1 },
      { stream: mallory.inbox, counter: 7 },
      { stream: randomId(StreamId), counter: 3 },
    ],
  });
  assert.deepEqual(
    [...counters].sort((a, b) => a.counter - b.counter),
    [
      { stream: bob.inbox, counter: 2 },
      { stream: mallory.inbox, counter: 7 },
    ],
  );
  const again = [];
  for (const letter of letters) again.push(await ofAlice.request("submit", letter));
  assert.deepEqual(again.slice(0, 2), accepted.slice(0, 2));
  assert.equal(again[2]?.seq, 3);
  await ofMallory.request("restore-done", { counters: [] });
  await refused({ code: "out-of-order" }, ofAlice.request("submit", letterTo(mallory.inbox, 7)));
  await ofAlice.request("submit", letterTo(mallory.inbox, 8));
});

test("D23: who had left is let in until the statement of it comes back, and not longer", async () => {
  await using room = await PutBack.open();
  const { alice, bob, mallory, place } = room;
  const { entries } = await known(mallory);
  const statements = entries.map(({ statement }) => statement);
  const { directory } = await applyStatements(emptyDirectory(place.serverId), statements);
  const account = directory.accounts.get(mallory.account);
  assert.ok(account);
  const statement = await signStatement({
    key: mallory.created.keys.signing,
    keyId: account.signingKeyId,
    head: nextHead(directory, mallory.account, Date.now()),
    kind: "remove",
    body: {},
  });
  await using leaving = await mallory.connect();
  await leaving.request("statement-append", { statement }).catch(() => undefined);
  await leaving.closed;
  const after = await known(bob);
  await room.putBack();
  await using ghost = await mallory.connect(place);
  const { token } = await ghost.request("token-create", {});
  await waits(ghost.request("submit", letterTo(bob.inbox, 1)));
  await using wire = await alice.connect(place);
  const from = entries.length;
  await wire.request("restore-statements", {
    from,
    entries: after.entries.slice(from),
    checkpoint: after.checkpoint,
  });
  assert.equal(await ghost.closed, 4403);
  await refused({ code: "unauthenticated" }, mallory.connect(place));
  const answer = await fetch(`${place.localUrl}/api/library`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.status, 401);
});

function randomDevice(row: Row): Row["device"] {
  return toBase64url(crypto.getRandomValues(new Uint8Array(16))) as typeof row.device;
}
