import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkRow,
  closeCodes,
  type Hash,
  Incarnation,
  limits,
  MessageId,
  type Row,
  randomId,
  StreamId,
} from "@snug/protocol";
import { bootServer } from "../../../testing/server.ts";
import { statementOf } from "../../../testing/statements.ts";
import {
  joinRaw,
  letterTo,
  type RawPerson,
  sees,
  type Wire,
  type WireServer,
} from "../../../testing/wire.ts";
import { refused } from "./refused.ts";

/** Signs in and reads the own inbox from a cursor. */
async function openInbox(person: RawPerson, after = 0, server?: WireServer): Promise<Wire> {
  const wire = await person.connect(server);
  const { inbox: stream, incarnation } = person;
  await wire.request("stream-read", { stream, incarnation, after });
  return wire;
}

async function takeRows(wire: Wire, count: number): Promise<Row[]> {
  const rows: Row[] = [];
  while (rows.length < count) rows.push(...(await wire.next("rows")).rows);
  return rows;
}

test("D1 D11: a letter is accepted, delivered live, and its sender is told when it has arrived", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using fromAlice = await alice.connect();
  await using toBob = await openInbox(bob);
  const { incarnation, inbox } = bob;
  const letter = letterTo(inbox, 1);
  const accepted = await fromAlice.request("submit", letter);
  const [row] = await takeRows(toBob, 1);
  assert.ok(row && (await checkRow(row)));
  assert.deepEqual(
    [row.seq, row.rowHash, row.id, row.account, row.device, row.counter],
    [accepted.seq, accepted.rowHash, letter.id, alice.account, alice.created.device, 1],
  );
  assert.deepEqual(row.sealed, letter.sealed);
  assert.deepEqual(await fromAlice.request("delivery-read", { ids: [letter.id] }), { delivered: [] });
  await toBob.request("stream-cursor", { stream: inbox, incarnation, seq: 1 });
  assert.deepEqual(await fromAlice.next("delivered"), { ids: [letter.id] });
  assert.deepEqual(await fromAlice.request("delivery-read", { ids: [letter.id] }), {
    delivered: [letter.id],
  });
});

test("D9: a cursor counts at once, but is answered at most ten times a second, and holds up nothing", async ({
  mock,
}) => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using fromAlice = await alice.connect();
  await using toBob = await openInbox(bob);
  const letters = [1, 2].map((counter) => letterTo(bob.inbox, counter));
  for (const letter of letters) await fromAlice.request("submit", letter);
  mock.timers.enable({ apis: ["setTimeout"] });
  const { inbox: stream, incarnation } = bob;
  const tell = (seq: number): Promise<unknown> =>
    toBob.request("stream-cursor", { stream, incarnation, seq });
  await tell(1);
  assert.deepEqual(await fromAlice.next("delivered"), { ids: [letters[0]?.id] });
  let answered = 0;
  const told = Array.from({ length: 65 }, () => tell(2).then(() => answered++));
  assert.deepEqual(await fromAlice.next("delivered"), { ids: [letters[1]?.id] });
  await toBob.request("directory-read", { from: 0 });
  // One more than may wait.
  assert.equal(answered, 1);
  mock.timers.tick(99);
  await toBob.request("directory-read", { from: 0 });
  assert.equal(answered, 1);
  mock.timers.tick(1);
  await Promise.all(told);
  // The pace goes on behind those: the next waits, and the one after a rest does not.
  const next = tell(2).then(() => answered++);
  await toBob.request("directory-read", { from: 0 });
  assert.equal(answered, 65);
  mock.timers.tick(100);
  await next;
  mock.timers.tick(100);
  await tell(2);
});

test("D3: a stream is read by its owner only; another's is no stream at all", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  const { incarnation } = bob;
  for (const stream of [bob.inbox, randomId(StreamId)]) {
    const no = { code: "not-found", message: "there is no such stream" } as const;
    await refused(no, wire.request("stream-read", { stream, incarnation, after: 0 }));
    await refused(no, wire.request("stream-cursor", { stream, incarnation, seq: 0 }));
  }
  await refused({ code: "not-found" }, wire.request("submit", letterTo(randomId(StreamId), 1)));
});

test("D4 D5: checks come in order: double, other bytes, counter", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const letter = letterTo(alice.inbox, 1);
  const first = await wire.request("submit", letter);
  // A double is a double, whatever its counter says.
  assert.deepEqual(await wire.request("submit", { ...letter, counter: 9 }), first);
  const other = crypto.getRandomValues(new Uint8Array(50));
  await refused({ code: "id-conflict" }, wire.request("submit", { ...letter, counter: 9, sealed: other }));
  const late = wire.request("submit", letterTo(alice.inbox, 9));
  await refused({ code: "out-of-order", message: "counter 9 received, 2 expected" }, late);
});

test("D5 D15: who has left takes no more letters; what was accepted before is answered again", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using fromBob = await bob.connect();
  const letter = letterTo(alice.inbox, 1);
  const first = await fromBob.request("submit", letter);
  {
    await using wire = await alice.connect();
    const statement = await statementOf({ server, wire, person: alice }, "remove", {});
    await wire.request("statement-append", { statement }).catch(() => undefined);
  }
  assert.deepEqual(await fromBob.request("submit", letter), first);
  const gone = { code: "policy", message: "the recipient is no longer on this server" } as const;
  await refused(gone, fromBob.request("submit", letterTo(alice.inbox, 2)));
  await refused(
    { code: "id-conflict" },
    fromBob.request("submit", { ...letter, sealed: crypto.getRandomValues(new Uint8Array(50)) }),
  );
});

test("D6: signing in tells the highest counters and the cursor that the server has of a device", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  const { inbox, incarnation } = alice;
  {
    await using wire = await openInbox(alice);
    assert.deepEqual(wire.waiting("rows"), 0);
    for (const counter of [1, 2]) await wire.request("submit", letterTo(inbox, counter));
    await wire.request("stream-cursor", { stream: inbox, incarnation, seq: 1 });
  }
  await using again = await alice.connect();
  assert.deepEqual(again.signedIn.counters, [{ stream: inbox, counter: 2 }]);
  assert.equal(again.signedIn.cursor, 1);
});

test("D9: a cursor above the head is refused as rolled back, one of another incarnation by its name", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  const { inbox: stream, incarnation } = alice;
  await refused({ code: "rolled-back" }, wire.request("stream-read", { stream, incarnation, after: 1 }));
  await refused({ code: "rolled-back" }, wire.request("stream-cursor", { stream, incarnation, seq: 1 }));
  const other = randomId(Incarnation);
  await refused(
    { code: "incarnation-changed" },
    wire.request("stream-read", { stream, incarnation: other, after: 0 }),
  );
  await refused(
    { code: "incarnation-changed" },
    wire.request("stream-cursor", { stream, incarnation: other, seq: 0 }),
  );
});

test("R16 D10: letters wait for who is offline and come in order, before what comes live", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  const letters = Array.from({ length: 150 }, (_, at) => letterTo(bob.inbox, at + 1));
  await Promise.all(letters.slice(0, 100).map((letter) => wire.request("submit", letter)));
  await using toBob = await openInbox(bob, 10);
  // The rest comes while the first hundred are being read.
  await Promise.all(letters.slice(100).map((letter) => wire.request("submit", letter)));
  const rows = await takeRows(toBob, 140);
  assert.deepEqual(
    rows.map(({ seq }) => seq),
    Array.from({ length: 140 }, (_, at) => at + 11),
  );
  assert.deepEqual(
    rows.map(({ id }) => id),
    letters.slice(10).map(({ id }) => id),
  );
});

test("D9: who says which row is at its cursor is refused where the server has another one there", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using fromAlice = await alice.connect();
  await using toBob = await openInbox(bob);
  const { inbox: stream, incarnation } = bob;
  const first = await fromAlice.request("submit", letterTo(stream, 1));
  const second = await fromAlice.request("submit", letterTo(stream, 2));
  const read = (after: number, rowHash: Hash): Promise<unknown> =>
    toBob.request("stream-read", { stream, incarnation, after, rowHash });
  await refused({ code: "rolled-back", message: "row 1 is another one here" }, read(1, second.rowHash));
  await read(1, first.rowHash);
  await read(2, second.rowHash);
  // Before the first row there is none.
  await read(0, second.rowHash);
});

test("R3 D10: the largest letters pass, many at once, and the reader is not dropped for it", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await openInbox(alice);
  const large = (): Uint8Array<ArrayBuffer> => new Uint8Array(limits.sealed).fill(7);
  const letters = [1, 2, 3, 4, 5, 6].map((counter) => letterTo(alice.inbox, counter, large()));
  await Promise.all(letters.map((letter) => wire.request("submit", letter)));
  const rows = await takeRows(wire, 6);
  assert.deepEqual(
    rows.map(({ seq, sealed }) => [seq, sealed?.length]),
    [1, 2, 3, 4, 5, 6].map((seq) => [seq, limits.sealed]),
  );
});

test("R13 D10: who does not read stalls nobody, is let go, and resumes from its cursor", async ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  await using stalled = await openInbox(bob);
  stalled.socket.pause();
  const large = new Uint8Array(limits.sealed).fill(7);
  const count = 60;
  for (let counter = 1; counter <= count; counter++) {
    await wire.request("submit", letterTo(bob.inbox, counter, large));
  }
  await sees(wire, bob, true);
  mock.timers.tick(limits.stalled);
  await sees(wire, bob, false);
  stalled.socket.resume();
  assert.equal(await stalled.closed, closeCodes.readsTooSlowly);
  await using again = await openInbox(bob, 1);
  const rows = await takeRows(again, count - 1);
  assert.equal(rows.at(-1)?.seq, count);
});

test("R7 P15: a dead socket holds up nobody who joins, and is let go when a push no longer fits", async ({
  mock,
}) => {
  // No ping finds it dead before that.
  mock.timers.enable({ apis: ["setInterval"] });
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  await using stalled = await openInbox(bob);
  await sees(wire, bob, true);
  stalled.socket.pause();
  const large = new Uint8Array(limits.sealed).fill(7);
  for (let counter = 1; counter <= 60; counter++) {
    await wire.request("submit", letterTo(bob.inbox, counter, large));
  }
  // Each joining is pushed to everybody; the first that does not fit ends the connection.
  for (let others = 0; wire.waiting("presence") === 0; others++) {
    assert.ok(others < 10, "the stalled connection was not let go");
    await joinRaw(server, `carol${others}`);
  }
  await sees(wire, bob, false);
});

test("D14: what waits for one account, and of one sender, is bounded; the error comes before any acknowledgement", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using wire = await alice.connect();
  await using own = await bob.connect();
  const large = new Uint8Array(limits.sealed).fill(7);
  const share = Math.floor(limits.senderBytes / limits.sealed);
  const fit = Math.floor(limits.inboxBytes / limits.sealed);
  for (let counter = 1; counter <= share; counter++) {
    await wire.request("submit", letterTo(bob.inbox, counter, large));
  }
  await refused({ code: "quota" }, wire.request("submit", letterTo(bob.inbox, share + 1, large)));
  for (let counter = 1; counter <= fit - share; counter++) {
    await own.request("submit", letterTo(bob.inbox, counter, large));
  }
  await refused({ code: "quota" }, own.request("submit", letterTo(bob.inbox, fit - share + 1, large)));
  await own.request("stream-cursor", { stream: bob.inbox, incarnation: bob.incarnation, seq: 1 });
  assert.equal((await wire.request("submit", letterTo(bob.inbox, share + 1, large))).seq, fit + 1);
});

test("D16: letters are durable, never fleeting", async () => {
  await using server = await bootServer();
  const alice = await joinRaw(server, "alice");
  await using wire = await alice.connect();
  await refused(
    { code: "policy" },
    wire.request("submit", { ...letterTo(alice.inbox, 1), class: "fleeting" }),
  );
  assert.equal((await wire.request("submit", letterTo(alice.inbox, 1))).seq, 1);
});

test("D8: a restart keeps ids, rows and cursors, and a repeated submit gets its first answer", async () => {
  await using first = await bootServer();
  const alice = await joinRaw(first, "alice");
  const letter = letterTo(alice.inbox, 1);
  await using wire = await alice.connect();
  const accepted = await wire.request("submit", letter);
  const { serverId, fingerprint, spki } = first;
  await first.close();
  await using second = await bootServer(first.options);
  assert.deepEqual([second.serverId, second.fingerprint, second.spki], [serverId, fingerprint, spki]);
  await using again = await openInbox(alice, 0, second);
  assert.deepEqual(await again.request("submit", letter), accepted);
  const [row] = await takeRows(again, 1);
  assert.equal(row?.rowHash, accepted.rowHash);
  assert.equal(
    (await again.request("submit", { ...letterTo(alice.inbox, 2), id: randomId(MessageId) })).seq,
    2,
  );
});
