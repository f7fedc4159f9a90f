import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { adviceOf } from "@snug/client";
import { recoverKeys } from "@snug/crypto/sealing";
import {
  decodeCbor,
  decodeInviteLink,
  decodeServerFrame,
  encodeCbor,
  encodeEvent,
  type Incarnation,
  type Row,
  rowHashInput,
  type StreamId,
} from "@snug/protocol";
import { adoptFolder, finishRestoring, type RunningServer } from "@snug/server";
import { startAgain } from "../../../testing/server.ts";
import { inviteRaw, joinByInvite, letterTo, type WireServer } from "../../../testing/wire.ts";
import { SqliteStore } from "../../server/src/store/sqliteStore.ts";
import { failingAt, type Pair, Person, pair } from "./people.ts";

/** What the data folder was, to be put back later. */
class Yesterday implements AsyncDisposable {
  readonly #room: Pair;
  readonly #copy: string;
  #server: RunningServer | null = null;

  private constructor(room: Pair, copy: string) {
    this.#room = room;
    this.#copy = copy;
  }

  /** The server is ended for the copy and started again on its port. */
  static async keep(room: Pair): Promise<Yesterday> {
    const yesterday = new Yesterday(room, await mkdtemp(join(tmpdir(), "snug-yesterday-")));
    await room.server.close();
    await cp(room.server.data, yesterday.#copy, { recursive: true });
    await yesterday.start();
    return yesterday;
  }

  async start(): Promise<void> {
    this.#server = await startAgain(this.#room.server);
  }

  async stop(): Promise<void> {
    await (this.#server ?? this.#room.server).close();
  }

  /** Puts the folder back as it was, with what `snug restore --adopt` does to it, and starts the server. */
  async putBack({ adopt = true, finish = false } = {}): Promise<void> {
    await this.stop();
    const { data } = this.#room.server;
    await rm(data, { recursive: true });
    await cp(this.#copy, data, { recursive: true });
    if (adopt) await adoptFolder(data, Date.now());
    if (finish) await finishRestoring(data);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
    await rm(this.#copy, { recursive: true, force: true });
  }
}

/** Comes online again as soon as its clock goes on. */
async function comeBack(...people: Person[]): Promise<void> {
  for (const person of people) {
    await person.until("offline", (s) => s.phase === "joined" && s.connection.is === "offline");
    person.platform.advance(30_000);
    await person.online();
  }
}

const restored = /^The server was restored from a backup of \d{4}-\d\d-\d\d \d\d:\d\d UTC\./;

test("D19, D21, D22, C29, C30: letters that a restored server lost come back from both sides, once and in order", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const id = await alice.client.send(bob.account, "before");
  await alice.client.settled(id);
  await alice.last(bob.account, "delivered");
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  // Arrives: only Bob's device has it then. The next ones are accepted and don't arrive: only Alice's has them.
  for (const text of ["one", "two"]) await alice.client.settled(await alice.client.send(bob.account, text));
  await bob.arrivals(3);
  await alice.last(bob.account, "delivered");
  await bob.unplug();
  for (const text of ["three", "four"])
    await alice.client.settled(await alice.client.send(bob.account, text));
  await yesterday.putBack();
  await comeBack(alice);
  // Bob's device is not back: nothing may take the places of its rows.
  const five = await alice.client.send(bob.account, "five");
  assert.match(alice.state.notices.at(-1)?.text ?? "", restored);
  assert.match(alice.state.notices.at(-1)?.text ?? "", /2 letters of yours that had not arrived/);
  const waiting = (await alice.client.letters({ thread: bob.account, most: 9 })).map(({ state }) => state.is);
  assert.deepEqual(waiting.slice(0, 3), ["delivered", "delivered", "delivered"]);
  assert.ok(
    waiting.slice(3).every((is) => is === "queued"),
    String(waiting),
  );

  await bob.plug();
  await alice.client.settled(five);
  await alice.last(bob.account, "delivered");
  assert.deepEqual(await bob.arrivals(6), ["before", "one", "two", "three", "four", "five"]);
  assert.deepEqual(await bob.texts(alice.account), ["before", "one", "two", "three", "four", "five"]);
  assert.match(bob.state.notices.at(-1)?.text ?? "", /2 letters that it had lost were brought back/);
  const gaps = (await bob.client.letters({ thread: alice.account, most: 9 })).filter(
    ({ state }) => state.is === "received" && state.gapBefore,
  );
  assert.deepEqual(gaps, []);
});

test("C29, C30: a device that comes too late goes on from the last common row: nothing shown twice, nothing of it lost", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  for (const text of ["one", "two"]) await alice.client.send(bob.account, text);
  await alice.last(bob.account, "delivered");
  await bob.arrivals(2);
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  await alice.client.send(bob.account, "three");
  await alice.last(bob.account, "delivered");
  await alice.unplug();
  // Accepted, and Alice's device has not seen it.
  await bob.client.settled(await bob.client.send(alice.account, "answer"));
  await bob.unplug();
  await alice.unplug();
  await yesterday.putBack({ finish: true });
  await alice.plug();
  // Takes the place that "three" had.
  await alice.client.settled(await alice.client.send(bob.account, "four"));
  await bob.plug();
  assert.deepEqual(await bob.arrivals(4), ["one", "two", "three", "four"]);
  assert.deepEqual(await alice.arrivals(1), ["answer"]);
  await bob.last(alice.account, "received");
  assert.deepEqual(await bob.texts(alice.account), ["one", "two", "three", "answer", "four"]);
  await bob.client.send(alice.account, "and on");
  assert.deepEqual(await alice.arrivals(2), ["answer", "and on"]);
  assert.equal(bob.arrived.length, 4);
});

test("C18: rows of before a restore are taken in until the first one of after it, and not behind that", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await bob.unplug();
  const [stored] = await bob.store.list({ table: "position" });
  const { incarnation } = decodeCbor(stored?.value ?? new Uint8Array()) as { incarnation: Incarnation };
  for (const text of ["one", "two"]) await alice.client.settled(await alice.client.send(bob.account, text));
  await using yesterday = await Yesterday.keep(room);
  await alice.unplug();
  await yesterday.putBack();
  await bob.plug();
  assert.deepEqual(await bob.arrivals(2), ["one", "two"]);
  await alice.plug();
  await alice.client.send(bob.account, "three");
  assert.deepEqual(await bob.arrivals(3), ["one", "two", "three"]);
  bob.platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    if (frame.type !== "event" || frame.event.name !== "rows") return bytes;
    // Chained as it should be, as if it were of the server's former life.
    const rows = frame.event.body.rows.map((row) => {
      const changed = { ...row, incarnation };
      return { ...changed, rowHash: hash("sha256", rowHashInput(changed), "base64url") as Row["rowHash"] };
    });
    return encodeEvent("rows", { ...frame.event.body, rows });
  };
  await alice.client.send(bob.account, "four");
  await bob.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  const { connection } = bob.state;
  assert.equal(connection.is === "stopped" && connection.code, "chain");
});

test("D20, D22, C28: who joined after the backup brings the statements back without being known, and the wrapped keys, and goes on", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  await using carol = await Person.join(await alice.client.invite({ uses: 1 }), "Carol");
  await alice.client.settled(await alice.client.send(carol.account, "welcome"));
  await carol.arrivals(1);
  for (const person of [alice, bob, carol]) await person.unplug();
  await yesterday.putBack();
  await carol.plug();
  assert.match(carol.state.notices.at(-1)?.text ?? "", /1 letter that it had lost was brought back/);
  // What the server lost is there again: the code on her paper opens it.
  using database = new DatabaseSync(join(room.server.data, "snug.db"), { readOnly: true });
  const kept = database.prepare("SELECT recovery FROM accounts WHERE account = ?").get(carol.account);
  const recovered = await recoverKeys(carol.recoveryCode, kept?.recovery as Uint8Array);
  assert.equal(recovered.account, carol.account);
  await carol.client.send(alice.account, "thanks");
  await alice.plug();
  assert.deepEqual(await alice.arrivals(1), ["thanks"]);
  await bob.plug();
  assert.deepEqual(
    bob.state.people.map(({ name }) => name),
    ["Alice", "Bob", "Carol"],
  );
});

test("D18, C4: a database put back by hand stops clients, in words that say what heals it; then they go on", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  await alice.client.send(bob.account, "one");
  await alice.last(bob.account, "delivered");
  await bob.unplug();
  await yesterday.putBack({ adopt: false });
  bob.platform.plug();
  await bob.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  const { connection } = bob.state;
  assert.ok(connection.is === "stopped" && connection.code === "rolled-back", JSON.stringify(connection));
  assert.match(adviceOf(connection), /Ask whoever runs the server.* they can mend that; then open Snug anew/);
  await yesterday.stop();
  await adoptFolder(room.server.data, Date.now());
  await yesterday.start();
  await bob.restart();
  await bob.online();
  assert.deepEqual(await bob.texts(alice.account), ["one"]);
  await alice.restart();
  await alice.online();
  await alice.client.send(bob.account, "two");
  assert.deepEqual(await bob.arrivals(2), ["one", "two"]);
});

test("D9, D18: a database put back by hand that has grown past a device's cursor counts nothing as delivered to it", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await using carol = await Person.join(await alice.client.invite({ uses: 1 }), "Carol");
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob, carol);
  await alice.client.send(bob.account, "lost by the server");
  await alice.last(bob.account, "delivered");
  for (const person of [alice, bob, carol]) await person.unplug();
  await yesterday.putBack({ adopt: false });
  await carol.plug();
  // In the place of the letter that Bob has.
  await carol.client.settled(await carol.client.send(bob.account, "never read"));
  bob.platform.plug();
  await bob.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  const { connection } = bob.state;
  assert.ok(connection.is === "stopped" && connection.code === "rolled-back", JSON.stringify(connection));
  await carol.restart();
  await carol.online();
  const [letter] = await carol.client.letters({ thread: bob.account, most: 1 });
  assert.equal(letter?.state.is, "accepted");
  await carol.unplug();
  await yesterday.stop();
  await adoptFolder(room.server.data, Date.now());
  await yesterday.start();
  for (const person of [alice, bob, carol]) {
    person.platform.plug();
    await person.restart();
  }
  for (const person of [alice, bob, carol]) await person.online();
  await carol.last(bob.account, "delivered");
  assert.deepEqual(await bob.texts(carol.account), ["never read"]);
  assert.deepEqual(await bob.texts(alice.account), ["lost by the server"]);
});

test("C28: a directory that parted from what this device has seen is two histories, whatever was restored", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const { localUrl, serverId } = room.server;
  const place: WireServer = { localUrl, serverId, setupLink: async () => null };
  const { secret } = decodeInviteLink(await alice.client.invite({ uses: 1 }));
  const raw = await joinByInvite(place, "Raw", { secret, inviter: alice.account });
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  await using carol = await Person.join(await alice.client.invite({ uses: 1 }), "Carol");
  await bob.until("Carol", (s) => s.phase === "joined" && s.people.length === 4);
  for (const person of [alice, bob, carol]) await person.unplug();
  await yesterday.putBack({ finish: true });
  // In Carol's place somebody else joins: so would a server do that wants to be rid of her.
  await using wire = await raw.connect(place);
  await joinByInvite(place, "Dave", await inviteRaw(wire, raw.account));
  bob.platform.plug();
  await bob.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  const { connection } = bob.state;
  assert.ok(connection.is === "stopped" && connection.code === "two-histories", JSON.stringify(connection));
  assert.deepEqual(
    bob.state.people.map(({ name }) => name),
    ["Alice", "Bob", "Raw", "Carol"],
  );
});

test("C29: rows that are many come back in pages, the older ones without their sealed bytes", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const { localUrl, serverId } = room.server;
  const place: WireServer = { localUrl, serverId, setupLink: async () => null };
  const { secret } = decodeInviteLink(await alice.client.invite({ uses: 1 }));
  const raw = await joinByInvite(place, "Raw", { secret, inviter: alice.account });
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  const [stored] = await bob.store.list({ table: "position" });
  const { stream } = decodeCbor(stored?.value ?? new Uint8Array()) as { stream: StreamId };
  const wire = await raw.connect(place);
  const large = () => crypto.getRandomValues(new Uint8Array(4000));
  const letters = Array.from({ length: 300 }, (_, at) => letterTo(stream, at + 1, large()));
  const accepted = await Promise.all(letters.map((letter) => wire.request("submit", letter)));
  // None of them is a letter: refused, and kept as what it was.
  const newest = async (): Promise<number> =>
    Number((await bob.store.list({ table: "rows", newestFirst: true, most: 1 }))[0]?.key ?? 0);
  while ((await newest()) < 300) {
    await setImmediate();
  }
  await wire[Symbol.asyncDispose]();
  await bob.unplug();
  await yesterday.putBack();
  await bob.plug();
  assert.match(bob.state.notices.at(-1)?.text ?? "", /300 letters that it had lost were brought back/);
  await bob.unplug();
  await yesterday.stop();
  await using store = new SqliteStore(join(room.server.data, "snug.db"));
  const rows: Row[] = [];
  for (let page = await store.rows(stream, 0, 1e9); page.length > 0; ) {
    rows.push(...page);
    page = await store.rows(stream, rows.length, 1e9);
  }
  assert.deepEqual(
    rows.map(({ rowHash }) => rowHash),
    accepted.map(({ rowHash }) => rowHash),
  );
  assert.deepEqual(
    rows.map(({ sealed }) => sealed !== null),
    letters.map((_, at) => at >= 300 - 256),
  );
  assert.deepEqual(await store.counters(raw.created.device), [{ stream, counter: 300 }]);
});

test("C30: cut off before what it found is stored, a device does it all again, and once", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await using yesterday = await Yesterday.keep(room);
  await comeBack(alice, bob);
  await alice.client.send(bob.account, "one");
  await bob.arrivals(1);
  await bob.client.send(alice.account, "answer");
  await alice.arrivals(1);
  await alice.last(bob.account, "received");
  let failures = 0;
  const noPower = (tables: readonly string[]): boolean =>
    tables.includes("counters") && tables.includes("position");
  await bob.restart((store) => failingAt(store, (tables) => noPower(tables) && failures++ < 2));
  await bob.online();
  await bob.unplug();
  await yesterday.putBack();
  for (const _ of [1, 2]) {
    bob.platform.plug();
    await bob.platform.timer();
    await bob.until("offline", (s) => s.phase === "joined" && s.connection.is === "offline");
  }
  await bob.plug();
  assert.equal(failures, 3);
  await comeBack(alice);
  await bob.client.send(alice.account, "two");
  assert.deepEqual(await alice.arrivals(2), ["answer", "two"]);
  assert.deepEqual(await bob.texts(alice.account), ["one", "answer", "two"]);
  const told = bob.state.notices.filter(({ text }) => restored.test(text));
  assert.equal(told.length, 1);
});

/** Puts a person's home back as it was when this is called for the first time. */
async function keepHome(person: Person): Promise<AsyncDisposable & { putBack(): Promise<void> }> {
  const kept = await mkdtemp(join(tmpdir(), "snug-home-"));
  await person.client.close();
  await cp(person.home, kept, { recursive: true });
  await person.restart();
  return {
    putBack: async () => {
      await person.client.close();
      await rm(person.home, { recursive: true });
      await cp(kept, person.home, { recursive: true });
    },
    [Symbol.asyncDispose]: () => rm(kept, { recursive: true, force: true }),
  };
}

/** Seals nothing of what waits: as a letter that was held when the home was copied. */
async function unseal(person: Person): Promise<void> {
  for (const { key, value } of await person.store.list({ table: "outbox" })) {
    const entry = decodeCbor(value) as { sealed: unknown };
    await person.store.commit([{ table: "outbox", key, value: encodeCbor({ ...entry, sealed: null }) }]);
  }
  const counters = await person.store.list({ table: "counters" });
  await person.store.commit(counters.map(({ key }) => ({ table: "counters", key, value: null })));
}

for (const killedAt of [0, 1, 2, 3]) {
  test(`C11, C13, C14: a home of yesterday put back${killedAt ? `, without power at commit ${killedAt}` : ""}: nothing sent or shown twice, what is missing comes again, and it goes on`, async () => {
    await using room = await pair();
    const { alice, bob } = room;
    await alice.unplug();
    // Yesterday this letter waits, and is not sealed yet.
    await alice.client.send(bob.account, "waits");
    await unseal(alice);
    await using yesterday = await keepHome(alice);
    alice.platform.plug();
    await alice.online();
    await alice.last(bob.account, "delivered");
    for (const text of ["today", "today too"]) await alice.client.send(bob.account, text);
    await bob.arrivals(3);
    await bob.client.send(alice.account, "news");
    await alice.arrivals(1);
    while ((await alice.store.list({ table: "outbox" })).length > 0) await setImmediate();

    await yesterday.putBack();
    alice.arrived.length = 0;
    let commits = 0;
    await alice.restart((store) => failingAt(store, () => ++commits === killedAt));
    alice.platform.plug();
    if (killedAt > 0) {
      await alice.until(
        "failed",
        (s) => s.phase === "joined" && s.connection.is !== "connecting" && commits >= killedAt,
      );
      await alice.restart();
      alice.platform.plug();
    }
    await alice.online();
    await alice.client.send(bob.account, "and on");
    assert.deepEqual(await bob.arrivals(4), ["waits", "today", "today too", "and on"]);
    assert.deepEqual(await alice.arrivals(1), ["news"]);
    await alice.last(bob.account, "delivered");
    const thread = await alice.texts(bob.account);
    assert.deepEqual([...thread].sort(), ["and on", "news", "today", "today too", "waits"].sort());
    assert.deepEqual(await bob.texts(alice.account), ["waits", "today", "today too", "news", "and on"]);
    assert.equal(alice.state.connection.is, "online");
    assert.match(alice.state.notices.map(({ text }) => text).join(), /put back to an older state/);
    const gaps = (await bob.client.letters({ thread: alice.account, most: 9 })).filter(
      ({ state }) => state.is === "received" && state.gapBefore,
    );
    assert.deepEqual(gaps, []);
  });
}
