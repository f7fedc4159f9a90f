import assert from "node:assert/strict";
import { test } from "node:test";
import { generateLogKey, importLogKey, signCheckpoint } from "@snug/crypto/identity";
import {
  checkRow,
  decodeCbor,
  decodeServerFrame,
  encodeCbor,
  encodeEvent,
  type Row,
  rowHashInput,
  sha256,
} from "@snug/protocol";
import { type Person, pair } from "./people.ts";

type Frame = { type: string; name?: string; body: Record<string, unknown> };

/** A lying server: changes what one person is told. `null` leaves a frame as it is. */
function lie(person: Person, change: (frame: Frame) => Frame | null): void {
  person.platform.onReceived = (bytes) => {
    const frame = decodeCbor(bytes) as Frame;
    const changed = change(frame);
    return changed ? encodeCbor(changed) : bytes;
  };
}

function rowsOf(frame: Frame): Row[] | null {
  return frame.type === "event" && frame.name === "rows" ? (frame.body.rows as Row[]) : null;
}

async function stopped(person: Person, code: string): Promise<string> {
  await person.until(
    `stopped ${code}`,
    (state) => state.phase === "joined" && state.connection.is === "stopped" && state.notices.length > 0,
  );
  const { connection } = person.state;
  assert.equal(connection.is === "stopped" && connection.code, code);
  assert.equal(person.state.notices.at(-1)?.level, "loud");
  return person.state.notices.at(-1)?.text ?? "";
}

test("C19, C21: changed sealed bytes are refused with a mark and a loud notice, and what follows is read", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  lie(bob, (frame) => {
    const rows = rowsOf(frame);
    if (rows?.[0]?.seq !== 1) return null;
    const [first, ...rest] = rows;
    const sealed = new Uint8Array(first.sealed ?? []);
    sealed[sealed.length - 10] = (sealed[sealed.length - 10] ?? 0) ^ 1;
    return { ...frame, body: { ...frame.body, rows: [{ ...first, sealed }, ...rest] } };
  });
  await alice.client.send(bob.account, "one");
  await bob.until("a notice", (state) => state.phase === "joined" && state.notices.length === 1);
  await alice.client.send(bob.account, "two");
  assert.deepEqual(await bob.arrivals(1), ["two"]);
  assert.match(bob.state.notices[0]?.text ?? "", /from Alice was refused: it was changed/);
  assert.equal(bob.state.notices[0]?.level, "loud");
  assert.equal((await bob.store.list({ table: "refused" })).length, 1);
  await bob.restart();
  await bob.online();
  assert.deepEqual(await bob.texts(alice.account), ["two"]);
  // The refused one is missing in front of the other.
  const [letter] = await bob.client.letters({ thread: alice.account, most: 1 });
  assert.deepEqual(letter?.state, { is: "received", gapBefore: true });
});

test("C19: a letter under another sender's name is refused", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  // The hashes are the server's own: it can make them fit. The seal it can't.
  const altered = new Map<number, Row>();
  let previous: Row["previous"] | null = null;
  const waiting: Promise<void>[] = [];
  bob.platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    if (frame.type !== "event" || frame.event.name !== "rows") return bytes;
    const { rows, stream } = frame.event.body;
    const [row] = rows;
    if (!row || altered.has(row.seq)) return bytes;
    const changed = { ...row, account: bob.account, previous: previous ?? row.previous };
    waiting.push(
      (async () => {
        const rowHash = await sha256(rowHashInput(changed));
        const whole: Row = { ...changed, rowHash };
        assert.ok(await checkRow(whole));
        altered.set(row.seq, whole);
        previous = rowHash;
        bob.platform.inject(encodeEvent("rows", { stream, rows: [whole] }));
      })(),
    );
    return null;
  };
  await alice.client.send(bob.account, "as bob");
  await bob.until("a notice", (state) => state.phase === "joined" && state.notices.length === 1);
  await Promise.all(waiting);
  assert.match(bob.state.notices[0]?.text ?? "", /from Bob was refused/);
  assert.deepEqual(bob.state.threads, []);
});

test("C18: a row that does not continue the chain stops the connection, and nothing of it is kept", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  lie(bob, (frame) => {
    const rows = rowsOf(frame);
    if (!rows) return null;
    return { ...frame, body: { ...frame.body, rows: rows.map((row) => ({ ...row, seq: row.seq + 1 })) } };
  });
  await alice.client.send(bob.account, "one");
  assert.match(await stopped(bob, "chain"), /row 2 of the inbox does not continue/);
  assert.deepEqual(await bob.texts(alice.account), []);
});

test("C20: rows that come twice are there once", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  bob.platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    if (frame.type === "event" && frame.event.name === "rows") bob.platform.inject(bytes);
    return bytes;
  };
  await alice.client.send(bob.account, "one");
  await alice.client.send(bob.account, "two");
  assert.deepEqual(await bob.arrivals(2), ["one", "two"]);
  assert.deepEqual(await bob.texts(alice.account), ["one", "two"]);
  assert.deepEqual(bob.state.notices, []);
});

test("C6: fewer statements than before are refused as rolled back", async () => {
  await using room = await pair();
  const { bob } = room;
  await bob.unplug();
  lie(bob, (frame) => {
    if (frame.type !== "response" || !("entries" in frame.body)) return null;
    return { ...frame, body: { ...frame.body, size: 1 } };
  });
  bob.platform.plug();
  assert.match(await stopped(bob, "rolled-back"), /shows 1 statements, it had shown 2/);
  await assert.rejects(bob.client.settled(await bob.client.send(bob.account, "x")), { code: "rolled-back" });
});

test("C6: a checkpoint that the pinned log key did not sign is refused", async () => {
  await using room = await pair();
  const { bob, server } = room;
  await bob.unplug();
  const { pkcs8, public: logPublic } = await generateLogKey();
  const logKey = await importLogKey(pkcs8);
  const root = new Uint8Array(32);
  const forged = await signCheckpoint({ server: server.serverId, logKey, logPublic, size: 2, root });
  lie(bob, (frame) => {
    if (frame.type !== "response" || !("entries" in frame.body)) return null;
    return { ...frame, body: { ...frame.body, checkpoint: forged } };
  });
  bob.platform.plug();
  assert.match(await stopped(bob, "directory"), /pinned log key did not sign/);
});

test("C28: another incarnation of a server that was not restored stops the connection", async () => {
  await using room = await pair();
  const { bob } = room;
  await bob.unplug();
  lie(bob, (frame) =>
    frame.name === "hello"
      ? { ...frame, body: { ...frame.body, incarnation: "AAAAAAAAAAAAAAAAAAAAAA" } }
      : null,
  );
  bob.platform.plug();
  assert.match(await stopped(bob, "incarnation-changed"), /not what it was, and that it was not restored/);
});

test("C4: another server at the same address is not spoken to", async () => {
  await using room = await pair();
  const { bob, alice } = room;
  await bob.unplug();
  lie(bob, (frame) =>
    frame.name === "hello" ? { ...frame, body: { ...frame.body, server: alice.account } } : null,
  );
  let sent = 0;
  bob.platform.onSent = (frame) => {
    sent++;
    return frame;
  };
  bob.platform.plug();
  await stopped(bob, "forbidden");
  assert.equal(sent, 0);
});

test("C4: what is no frame ends the link, and the next one goes on", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  bob.platform.inject(new Uint8Array([0xff, 0x00]));
  await bob.until("offline", (state) => state.phase === "joined" && state.connection.is === "offline");
  await alice.client.send(bob.account, "still");
  bob.platform.advance(1_000);
  assert.deepEqual(await bob.arrivals(1), ["still"]);
});
