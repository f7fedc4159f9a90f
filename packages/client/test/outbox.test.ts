import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { StoreError } from "@snug/client";
import {
  decodeCbor,
  decodeRequest,
  decodeServerFrame,
  encodeCbor,
  encodeError,
  type RequestOf,
  SnugError,
} from "@snug/protocol";
import { startAgain } from "../../../testing/server.ts";
import { failingAt, type Person, pair } from "./people.ts";

/** The submits that leave a person's device, as they leave. */
function watchSubmits(person: Person): RequestOf<"submit">[] {
  const seen: RequestOf<"submit">[] = [];
  person.platform.onSent = (frame) => {
    const request = decodeRequest(frame);
    if ("name" in request && request.name === "submit") seen.push(request.body);
    return frame;
  };
  return seen;
}

/** Swallows the next answer to a submit: the server has the letter, the device doesn't know. */
function loseNextAck(person: Person): Promise<void> {
  return new Promise((resolve) => {
    const numbers = new Set<number>();
    person.platform.onSent = (frame) => {
      const request = decodeRequest(frame);
      if ("name" in request && request.name === "submit") numbers.add(request.number);
      return frame;
    };
    person.platform.onReceived = (bytes) => {
      const frame = decodeServerFrame(bytes);
      if (frame.type !== "response" || !numbers.has(frame.number)) return bytes;
      person.platform.onReceived = (all) => all;
      resolve();
      return null;
    };
  });
}

test("C8: who has no connection writes, who has none gets it later; a restart of the server between loses nothing", async () => {
  await using room = await pair();
  const { alice, bob, server } = room;
  await bob.unplug();
  await alice.unplug();
  const first = await alice.client.send(bob.account, "one");
  await alice.client.send(bob.account, "two");
  assert.equal(alice.state.threads[0]?.last?.state.is, "queued");
  const settled = alice.client.settled(first);
  await server.close();
  const again = await startAgain(server);
  try {
    await alice.plug();
    await settled;
    await alice.client.send(bob.account, "three");
    await alice.last(bob.account, "accepted");
    await bob.plug();
    assert.deepEqual(await bob.arrivals(3), ["one", "two", "three"]);
    await alice.last(bob.account, "delivered");
    assert.deepEqual(
      (await bob.client.letters({ thread: alice.account, most: 9 })).map(({ state }) => state),
      [0, 1, 2].map(() => ({ is: "received", gapBefore: false })),
    );
  } finally {
    await again.close();
  }
});

test("C8: content, id, counter and sealed bytes are in the store before anything leaves", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await alice.unplug();
  const id = await alice.client.send(bob.account, "kept");
  const [kept] = await alice.store.list({ table: "outbox" });
  const entry = decodeCbor(kept?.value ?? new Uint8Array()) as Record<string, never>;
  assert.equal(entry.id, id);
  const { bytes, counter } = entry.sealed as unknown as { bytes: Uint8Array; counter: number };
  assert.equal(counter, 1);

  // The process ends before anything was sent, and comes back.
  await alice.restart();
  const submits = watchSubmits(alice);
  await alice.plug();
  assert.deepEqual(await bob.arrivals(1), ["kept"]);
  assert.deepEqual(submits[0]?.sealed, bytes);
  assert.equal(submits[0]?.id, id);
});

test("C9: a lost acknowledgement is asked for again with the same bytes, and the letter is there once", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const lost = loseNextAck(alice);
  const id = await alice.client.send(bob.account, "once");
  await lost;
  await bob.arrivals(1);
  await alice.unplug();
  const submits = watchSubmits(alice);
  await alice.plug();
  await alice.client.settled(id);
  await alice.client.send(bob.account, "after");
  assert.deepEqual(await bob.arrivals(2), ["once", "after"]);
  assert.equal(submits[0]?.id, id);
  assert.deepEqual(await bob.texts(alice.account), ["once", "after"]);
});

test("C9: a crash between acknowledgement and store sends the same bytes again, and the letter is there once", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  let crashed = false;
  await alice.restart((store) =>
    failingAt(store, (tables) => {
      // The transaction that would note "accepted" is the one that brings the copy to oneself into the outbox.
      if (crashed || tables.filter((table) => table === "outbox").length < 2) return crashed;
      crashed = true;
      return true;
    }),
  );
  await alice.online();
  await alice.client.send(bob.account, "through the crash");
  assert.deepEqual(await bob.arrivals(1), ["through the crash"]);
  await alice.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  assert.equal(alice.state.connection.is === "stopped" && alice.state.connection.code, "store");
  await alice.restart();
  await alice.last(bob.account, "delivered");
  assert.deepEqual(await bob.texts(alice.account), ["through the crash"]);
  assert.deepEqual(await alice.texts(bob.account), ["through the crash"]);
});

test("C9: one letter is under way for each stream, in the order of the counters", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const submits = watchSubmits(alice);
  const texts = Array.from({ length: 12 }, (_, at) => `letter ${at}`);
  await Promise.all(texts.map((text) => alice.client.send(bob.account, text)));
  assert.deepEqual(await bob.arrivals(12), texts);
  const stream = submits[0]?.stream;
  assert.deepEqual(
    submits.filter((submit) => submit.stream === stream).map(({ counter }) => counter),
    texts.map((_, at) => at + 1),
  );
});

test("C13, C14: an accepted letter leaves a copy sealed to oneself; a store put back to its beginning fills again from it", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  // What alice's device knew before she wrote.
  const before = await Promise.all(
    ["room", "position", "directory", "checkpoint", "made"].map(async (table) =>
      (await alice.store.list({ table })).map(({ key, value }) => ({ table, key, value })),
    ),
  );
  const id = await alice.client.send(bob.account, "remember");
  await alice.last(bob.account, "delivered");
  // The copy is nothing to look at: it has left when the outbox is empty.
  while ((await alice.store.list({ table: "outbox" })).length > 0) await setImmediate();
  const everything = await Promise.all(
    ["letters", "threads", "received", "senders", "rows", "counters", "outbox", "position"].map(
      async (table) => (await alice.store.list({ table })).map(({ key }) => ({ table, key, value: null })),
    ),
  );
  await alice.unplug();
  await alice.store.commit([...everything.flat(), ...before.flat()]);
  await alice.restart();
  await alice.plug();
  await alice.last(bob.account, "accepted");
  const [letter] = await alice.client.letters({ thread: bob.account, most: 9 });
  assert.equal(letter?.id, id);
  assert.equal(letter?.text, "remember");
  assert.equal(letter?.from, alice.account);
  // The server has seen more than this store knows; it says so, and goes on behind.
  assert.match(alice.state.notices[0]?.text ?? "", /put back to an older state/);
  await alice.client.send(bob.account, "and on");
  assert.deepEqual(await bob.arrivals(2), ["remember", "and on"]);
});

test("C14: a letter to oneself is there once", async () => {
  await using room = await pair();
  const { alice } = room;
  await alice.client.send(alice.account, "note");
  await alice.last(alice.account, "delivered");
  assert.deepEqual(await alice.texts(alice.account), ["note"]);
  assert.equal(alice.arrived.length, 0);
});

test("C10: what the server can't take for now is held with words and offered again", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const submits = watchSubmits(alice);
  let full = true;
  alice.platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    if (frame.type !== "response" || submits.length === 0 || !full) return bytes;
    full = false;
    return encodeError(frame.number, new SnugError("quota", "10000 letters wait there"));
  };
  const id = await alice.client.send(bob.account, "patience");
  await assert.rejects(alice.client.settled(id), { code: "quota", message: /letterbox is full/ });
  await alice.last(bob.account, "held");
  alice.platform.advance(30_000);
  await alice.last(bob.account, "delivered");
  assert.deepEqual(await bob.texts(alice.account), ["patience"]);
});

test("C11: a counter that the server does not expect is made anew behind the server's own", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const [position] = await bob.store.list({ table: "position" });
  const { stream } = decodeCbor(position?.value ?? new Uint8Array()) as { stream: string };
  const value = encodeCbor({ sealed: 5, accepted: 0 });
  await alice.store.commit([{ table: "counters", key: stream, value }]);
  await alice.restart();
  const submits = watchSubmits(alice);
  await alice.online();
  const id = await alice.client.send(bob.account, "counted wrongly");
  await alice.client.settled(id);
  assert.deepEqual(await bob.arrivals(1), ["counted wrongly"]);
  const own = submits.filter((submit) => submit.stream === stream);
  assert.deepEqual(
    own.map(({ counter }) => counter),
    [6, 1],
  );
  assert.deepEqual(
    own.map((submit) => submit.id),
    [id, id],
  );
});

test("C13: a server that has lost what it acknowledged is refused", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await alice.client.settled(await alice.client.send(bob.account, "one"));
  await alice.unplug();
  alice.platform.onReceived = (bytes) => {
    const frame = decodeCbor(bytes) as { type: string; body: Record<string, unknown> };
    if (frame.type !== "response" || !("counters" in frame.body)) return bytes;
    return encodeCbor({ ...frame, body: { ...frame.body, counters: [] } });
  };
  alice.platform.plug();
  await alice.until("stopped", (s) => s.phase === "joined" && s.connection.is === "stopped");
  const { connection } = alice.state;
  assert.equal(connection.is === "stopped" && connection.code, "rolled-back");
});

test("C17: what could not be stored is not acknowledged, and comes again", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  let failures = 0;
  await bob.restart((store) =>
    failingAt(
      store,
      (tables) => tables.includes("position") && tables.includes("letters") && failures++ === 0,
    ),
  );
  await bob.online();
  await alice.client.send(bob.account, "one");
  await bob.until("offline", (s) => s.phase === "joined" && s.connection.is === "offline");
  assert.deepEqual(bob.arrived, []);
  await alice.last(bob.account, "accepted");
  await alice.client.send(bob.account, "two");
  bob.platform.advance(1_000);
  assert.deepEqual(await bob.arrivals(2), ["one", "two"]);
  await alice.last(bob.account, "delivered");
  const letters = await bob.client.letters({ thread: alice.account, most: 9 });
  assert.deepEqual(
    letters.map(({ state }) => state.is === "received" && state.gapBefore),
    [false, false],
  );
});

test("C37: a server that says too many is asked again with the same bytes after 1, 2, 4 … s, and nothing is lost", async () => {
  await using of = await pair();
  const { alice, bob } = of;
  const sent: Uint8Array[] = [];
  const pauses: number[] = [];
  const { after } = alice.platform;
  alice.platform.after = (ms, call) => {
    const callOff = after(ms, call);
    if (!pausing.has(ms) || !refusing) return callOff;
    pauses.push(ms);
    queueMicrotask(() => alice.platform.advance(ms));
    return callOff;
  };
  const pausing = new Set([1_000, 2_000, 4_000, 8_000]);
  let refusing = true;
  alice.platform.onSent = (frame) => {
    const request = decodeRequest(frame);
    if ("error" in request || request.name !== "submit" || !refusing) return frame;
    sent.push(request.body.sealed);
    if (sent.length > pausing.size) {
      refusing = false;
      return frame;
    }
    const no = encodeError(request.number, new SnugError("too-many", "wait"));
    queueMicrotask(() => alice.platform.inject(no));
    return null;
  };
  const id = await alice.client.send(bob.account, "patience");
  await alice.client.settled(id);
  assert.deepEqual(pauses, [...pausing]);
  assert.equal(sent.length, 5);
  for (const again of sent) assert.deepEqual(again, sent[0]);
  assert.deepEqual(await bob.arrivals(1), ["patience"]);
});

test("C17: a cursor that the server could not take is told again on the same connection", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const asked: string[] = [];
  const refused = new Promise<number>((resolve) => {
    bob.platform.onSent = (frame) => {
      const request = decodeRequest(frame);
      if (!("name" in request)) return frame;
      asked.push(request.name);
      if (request.name !== "stream-cursor" || asked.filter((name) => name === "stream-cursor").length > 1) {
        return frame;
      }
      resolve(request.number);
      return null;
    };
  });
  await alice.client.send(bob.account, "one");
  const number = await refused;
  bob.platform.inject(encodeError(number, new SnugError("unavailable", "the disk is full")));
  await setImmediate();
  await alice.last(bob.account, "accepted");
  bob.platform.advance(30_000);
  await alice.last(bob.account, "delivered");
  assert.ok(!asked.includes("sign-in"));
});

test("C17: what came behind the word under way is told before the link is closed", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const swallowed = new Promise<void>((resolve) => {
    bob.platform.onSent = (frame) => {
      const request = decodeRequest(frame);
      if (!("name" in request) || request.name !== "stream-cursor") return frame;
      bob.platform.onSent = (next) => next;
      resolve();
      return null;
    };
  });
  await alice.client.send(bob.account, "one");
  await swallowed;
  await alice.client.send(bob.account, "two");
  assert.deepEqual(await bob.arrivals(2), ["one", "two"]);
  await bob.client.close();
  await alice.last(bob.account, "delivered");
});

test("C14: what was delivered before its sender knew it accepted is asked for, not waited for", async () => {
  await using room = await pair();
  const { alice } = room;
  const lost = loseNextAck(alice);
  await alice.client.send(alice.account, "a note, twice offered");
  await lost;
  await alice.unplug();
  // At her return she reads the note before she offers it again: the word that it is delivered comes too early.
  await alice.plug();
  await alice.last(alice.account, "delivered");
});

test("C32: what this device's disk has no room for takes no counter; an acknowledgement is asked for again", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const full = StoreError.ofDisk(new Error("database or disk is full"));
  let fails = (_tables: readonly string[]): boolean => true;
  await alice.restart((store) =>
    failingAt(store, (tables) => tables.includes("outbox") && fails(tables), full),
  );
  await alice.online();
  const submits = watchSubmits(alice);
  await assert.rejects(alice.client.send(bob.account, "no room"), full);
  assert.equal(submits.length, 0);
  assert.deepEqual(await alice.texts(bob.account), []);

  // Room for the letter, none for the server's word.
  const refused = new Promise<void>((resolve) => {
    fails = (tables) => {
      if (tables.filter((table) => table === "outbox").length < 2) return false;
      resolve();
      return true;
    };
  });
  const id = await alice.client.send(bob.account, "some room");
  await refused;
  assert.deepEqual(await bob.arrivals(1), ["some room"]);
  assert.equal(alice.state.threads[0]?.last?.state.is, "queued");
  fails = () => false;
  alice.platform.advance(30_000);
  await alice.client.settled(id);
  assert.deepEqual(
    submits
      .filter((submit) => submit.id === id && submit.stream === submits[0]?.stream)
      .map(({ counter }) => counter),
    [1, 1],
  );
  assert.deepEqual(await bob.texts(alice.account), ["some room"]);
  assert.deepEqual(alice.state.notices, []);
});
