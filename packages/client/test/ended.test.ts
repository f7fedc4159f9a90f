import assert from "node:assert/strict";
import { test } from "node:test";
import { applyStatements, type Directory, emptyDirectory, sealingKeyOf } from "@snug/crypto/identity";
import { sealLetter } from "@snug/crypto/sealing";
import {
  decodeCbor,
  decodeRequest,
  decodeServerFrame,
  encodeEvent,
  encodeResponse,
  MessageId,
  Row,
  randomId,
  rowHashInput,
  sha256,
  textContent,
} from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { Acceptance } from "../src/acceptance.ts";
import { type Position, Records } from "../src/records.ts";
import { type Pair, Person, pair } from "./people.ts";

/** Alice rules; Bob wrote to Carol before; Carol reads. */
async function three() {
  await using started = new AsyncDisposableStack();
  const room = started.use(await pair());
  const { server, alice, bob } = room;
  const carol = started.use(await Person.join(await alice.client.invite({ uses: 1 }), "Carol"));
  await alice.until("Carol", () => alice.state.people.length === 3);
  await bob.until("Carol", () => bob.state.people.length === 3);
  await bob.client.send(carol.account, "before");
  await carol.arrivals(1);
  const all = started.move();
  return { server, alice, bob, carol, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const ends = async (reader: Person, of: Person["account"]) =>
  (await reader.client.letters({ thread: of, most: 9 })).map(({ text, senderEnd }) => [text, senderEnd]);
const loud = (of: Person) => of.state.notices.filter(({ level }) => level === "loud").map(({ text }) => text);
const told = (reader: Person) =>
  reader.until("refused", () => loud(reader).some((text) => /from Bob was refused/.test(text)));

/** Resolves once so many records of a table are durable. */
async function kept(of: Person, table: string, count: number): Promise<void> {
  await eventually(`${count} of ${table}`, async () => (await of.store.list({ table })).length >= count);
}

async function newest<T>(of: Person, table: string): Promise<T> {
  const [found] = await of.store.list({ table, newestFirst: true, most: 1 });
  return decodeCbor(found?.value ?? new Uint8Array()) as T;
}

async function directoryOf(person: Person, server: Pair["server"]): Promise<Directory> {
  const kept = await person.store.list({ table: "directory" });
  const statements = kept.map(({ value }) => (decodeCbor(value) as { statement: Uint8Array }).statement);
  return (await applyStatements(emptyDirectory(server.serverId), statements)).directory;
}

/** Rows as a server makes them that helps the holder of a device's keys: chained behind each other, whatever they hold. */
class Forger {
  readonly #of: { readonly reader: Person; readonly server: Pair["server"] };
  #at: Position;
  #counter = 100;

  private constructor(of: { readonly reader: Person; readonly server: Pair["server"] }, at: Position) {
    this.#of = of;
    this.#at = at;
  }

  static async behind(reader: Person, server: Pair["server"]): Promise<Forger> {
    const position = await newest<Position>(reader, "position");
    return new Forger({ reader, server }, position);
  }

  /** The next row of the reader's inbox: a letter by this device, sealed as its own program would. */
  async row(from: Person, text: string, checkpoint = ""): Promise<Row> {
    const { reader, server } = this.#of;
    const directory = await directoryOf(reader, server);
    const recipient = directory.accounts.get(reader.account);
    const { account, device } = from.state.me;
    const deviceKeyId = directory.accounts.get(account)?.devices.get(device)?.keyId;
    const keys = await from.store.loadKeys();
    assert.ok(recipient && deviceKeyId && keys);
    const id = randomId(MessageId);
    const counter = ++this.#counter;
    const sealed = await sealLetter({
      from: { account, device, key: keys.device, deviceKeyId },
      to: { account: recipient.id, ...sealingKeyOf(recipient) },
      ...{ server: server.serverId, id, counter, time: 1_000, checkpoint },
      ...{ content: textContent(text), copyOf: null },
    });
    const { stream, incarnation, seq, rowHash: previous } = this.#at;
    const bare = {
      ...{ stream, incarnation, seq: seq + 1, previous, account, device, id, counter, sealed },
      ...{ kind: "letter" as const, class: "durable" as const, generation: null, epoch: null },
      ...{ sealedHash: await sha256(sealed), accepted: 1_000, expires: null },
    };
    const row = Row.parse({ ...bare, rowHash: await sha256(rowHashInput(bare)) });
    this.#at = { ...this.#at, seq: row.seq, rowHash: row.rowHash };
    return row;
  }
}

const rowsEvent = (rows: Row[]) => encodeEvent("rows", { stream: rows[0]?.stream ?? assert.fail(), rows });

/** The server says that the inbox has so many rows more than it has, and then shows these. */
function announce(reader: Person, more: number, rows: Row[] = []): void {
  const { platform } = reader;
  const asked = new Set<number>();
  platform.onSent = (bytes) => {
    const request = decodeRequest(bytes);
    if ("name" in request && request.name === "stream-read") asked.add(request.number);
    return bytes;
  };
  platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    if (frame.type !== "response" || !asked.delete(frame.number)) return bytes;
    const { head } = frame.body as { head: number };
    if (rows.length > 0) setImmediate(() => platform.inject(rowsEvent(rows)));
    return encodeResponse(frame.number, { head: head + more });
  };
}

test("L9: what was accepted before its sender's end is shown to who reads it later, marked; also after a restart", async () => {
  await using room = await three();
  const { alice, bob, carol } = room;
  await using dave = await Person.join(await alice.client.invite({ uses: 1 }), "Dave");
  await using eve = await Person.join(await alice.client.invite({ uses: 1 }), "Eve");
  const senders = [bob, dave, eve];
  for (const of of [carol, ...senders, alice]) await of.until("all", () => of.state.people.length === 5);
  await carol.unplug();
  const accounts = senders.map(({ account }) => account);
  const [byBob = bob.account, byDave = bob.account, byEve = bob.account] = accounts;
  for (const of of senders) await of.client.settled(await of.client.send(carol.account, "last words"));
  await alice.client.settled(await alice.client.send(carol.account, "I stay"));
  await alice.client.removeAccount(byBob);
  await alice.client.endDevice(byDave, dave.state.me.device);
  await eve.client.leave();
  await carol.plug();
  await carol.arrivals(5);
  const check = async () => {
    assert.deepEqual(await ends(carol, byBob), [
      ["before", null],
      ["last words", "removed"],
    ]);
    assert.deepEqual(await ends(carol, byDave), [["last words", "device"]]);
    assert.deepEqual(await ends(carol, byEve), [["last words", "left"]]);
    assert.deepEqual(await ends(carol, alice.account), [["I stay", null]]);
    assert.deepEqual(loud(carol), []);
  };
  await check();
  assert.equal(carol.arrived.filter(({ senderEnd }) => senderEnd !== null).length, 3);
  await carol.restart();
  await carol.online();
  await check();
});

test("L9: to who is here when a device is ended nothing of it comes any more, though the server helps its holder", async () => {
  await using room = await three();
  const { alice, bob, carol, server } = room;
  const checkpoint = (await newest<{ text: string }>(bob, "checkpoint")).text;
  await alice.client.endDevice(bob.account, bob.state.me.device);
  await carol.until("told", () => carol.state.notices.length > 0);
  // Whoever is online has asked how far the inbox reaches.
  await kept(carol, "ends", 1);
  const forger = await Forger.behind(carol, server);
  carol.platform.inject(rowsEvent([await forger.row(bob, "send me the key", checkpoint)]));
  await told(carol);
  assert.match(loud(carol)[0] ?? "", /a device that was ended before it was sent. Nothing of it is shown/);
  assert.deepEqual(await ends(carol, bob.account), [["before", null]]);
});

test("L9 T62: a server that helps the holder of an ended device can put letters into the first reading after its end, marked, and none later", async () => {
  await using room = await three();
  const { alice, bob, carol, server } = room;
  const checkpoint = (await newest<{ text: string }>(bob, "checkpoint")).text;
  await carol.unplug();
  await alice.client.endDevice(bob.account, bob.state.me.device);
  await bob.until("stopped", () => bob.state.connection.is === "stopped");
  const knowing = (await newest<{ text: string }>(alice, "checkpoint")).text;
  const forger = await Forger.behind(carol, server);
  announce(carol, 4, [
    await forger.row(bob, "as if from before", checkpoint),
    await forger.row(bob, "knows of its end", knowing),
    await forger.row(alice, "an honest word, written after the end", knowing),
    await forger.row(bob, "behind that", checkpoint),
  ]);
  carol.platform.plug();
  await carol.online();
  assert.deepEqual(await ends(carol, bob.account), [
    ["before", null],
    ["as if from before", "device"],
  ]);
  assert.deepEqual(await ends(carol, alice.account), [["an honest word, written after the end", null]]);
  const refused = (await carol.store.list({ table: "refused" })).map(
    ({ value }) => (decodeCbor(value) as { why: string }).why,
  );
  assert.deepEqual(refused, Array(2).fill("a letter by a device that was ended before it was sent"));
  carol.platform.inject(rowsEvent([await forger.row(bob, "and once more", checkpoint)]));
  await kept(carol, "refused", 3);
  assert.deepEqual(await ends(carol, bob.account), [
    ["before", null],
    ["as if from before", "device"],
  ]);
});

test("L9: a server that says the inbox reaches further than it delivers does not keep the time of an ended device open", async () => {
  await using room = await three();
  const { alice, bob, carol } = room;
  announce(carol, 5);
  await alice.client.removeAccount(bob.account);
  await kept(carol, "ends", 1);
  carol.platform.advance(60_000);
  await carol.until("offline", () => carol.state.connection.is === "offline");
  const { connection } = carol.state;
  assert.match(
    connection.is === "offline" ? connection.why : "",
    /does not deliver what it says the inbox has/,
  );
});

test("L9: what was read to its end stays so when the inbox goes on from an earlier row", async () => {
  await using person = await Person.open();
  const records = new Records(person.store);
  const acceptance = new Acceptance(records);
  assert.equal(acceptance.mayPrecede(7, 1_000), true);
  assert.deepEqual([acceptance.lacks([]), acceptance.lacks([7])], [false, true]);
  await records.commit(acceptance.learn([7, 9], { seq: 20, size: 9 }));
  assert.deepEqual([acceptance.mayPrecede(7, 20), acceptance.mayPrecede(7, 21)], [true, false]);
  assert.deepEqual([acceptance.mayPrecede(9, 21), acceptance.lacks([7, 9])], [true, true]);
  await records.commit(acceptance.learn([7, 9], { seq: 30, size: 10 }));
  assert.deepEqual([acceptance.mayPrecede(7, 21), acceptance.mayPrecede(9, 30)], [false, true]);
  // Read up to 25, and the server was restored to 12: leaf 9's row 30 was never reached.
  await records.commit(acceptance.goBack({ from: 25, to: 12 }));
  const again = new Acceptance(records);
  await again.load();
  assert.deepEqual(
    [again.mayPrecede(7, 12), again.mayPrecede(7, 13), again.mayPrecede(9, 30)],
    [true, false, true],
  );
  assert.deepEqual(again.learn([7, 9], { seq: 40, size: 11 }), []);
});
