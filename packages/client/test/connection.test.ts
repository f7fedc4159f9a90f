import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientState } from "@snug/client";
import { decodeRequest, decodeServerFrame, encodeError, SnugError } from "@snug/protocol";
import { bootServer } from "../../../testing/server.ts";
import { Person, pair } from "./people.ts";

async function alone(): Promise<{ alice: Person } & AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const server = started.use(await bootServer());
  const alice = started.use(await Person.join((await server.setupLink()) ?? "", "Alice"));
  const all = started.move();
  return { alice, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const isOffline = (state: ClientState) => state.phase === "joined" && state.connection.is === "offline";

test("C5: reconnecting waits from 1 s to 30 s with jitter, and a hint of the network tries at once", async () => {
  await using room = await alone();
  const { alice } = room;
  await alice.unplug();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 7; attempt++) {
    await alice.until("offline", isOffline);
    const { connection } = alice.state;
    const wait = connection.is === "offline" ? connection.retryAt - alice.platform.now() : 0;
    waits.push(wait);
    alice.platform.advance(wait);
  }
  // The test's chance is 0.5 always: three quarters of 1, 2, 4, … at most 30 s.
  assert.deepEqual(waits, [750, 1500, 3000, 6000, 12_000, 22_500, 22_500]);
  await alice.plug();
  await alice.unplug();
  const { connection } = alice.state;
  assert.equal(connection.is === "offline" && connection.retryAt - alice.platform.now(), 750);
});

test("C5: a link that gives no sign of life is given up", async () => {
  await using room = await alone();
  const { alice } = room;
  await alice.until("library", (state) => state.phase === "joined" && state.library !== null);
  // The peer is gone without a word: nothing comes any more, and nothing tells.
  alice.platform.onReceived = () => null;
  alice.platform.advance(30_000);
  alice.platform.advance(20_000);
  await alice.until("offline", isOffline);
  const { connection } = alice.state;
  assert.match(connection.is === "offline" ? connection.why : "", /no answer to delivery-read/);
});

test("C4: nothing but the sign-in leaves before the server is known, and letters only after the catch-up", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await alice.unplug();
  await alice.client.send(bob.account, "waits");
  const names: string[] = [];
  alice.platform.onSent = (frame) => {
    const request = decodeRequest(frame);
    if ("name" in request) names.push(request.name);
    return frame;
  };
  await alice.plug();
  await alice.last(bob.account, "delivered");
  assert.deepEqual(names.slice(0, 3), ["sign-in", "directory-read", "stream-read"]);
  assert.ok(names.indexOf("submit") > names.indexOf("stream-read"));
});

test("C5: a server that can't give the inbox for now is asked again at the next link; nothing stops for good", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await alice.unplug();
  for (const code of ["unavailable", "internal"] as const) {
    let asked = -1;
    alice.platform.onSent = (frame) => {
      const request = decodeRequest(frame);
      if ("name" in request && request.name === "stream-read") asked = request.number;
      return frame;
    };
    alice.platform.onReceived = (frame) => {
      const answer = decodeServerFrame(frame);
      const isIt = answer.type === "response" && answer.number === asked;
      return isIt ? encodeError(asked, new SnugError(code, "not now")) : frame;
    };
    alice.platform.plugged = true;
    alice.platform.advance(60_000);
    await alice.until("refused", (state) => asked >= 0 && isOffline(state));
    const { connection } = alice.state;
    assert.match(connection.is === "offline" ? connection.why : "", /not now/, code);
  }
  alice.platform.onSent = (frame) => frame;
  alice.platform.onReceived = (frame) => frame;
  await bob.client.send(alice.account, "still here");
  alice.platform.advance(60_000);
  await alice.until("the letter", () => alice.arrived.some(({ text }) => text === "still here"));
});

test("C4: a second program with the same keys takes the place, and the first says so and stays away", async () => {
  await using room = await alone();
  const { alice } = room;
  await using other = await Person.copyOf(alice);
  await other.online();
  await alice.until("stopped", (state) => state.phase === "joined" && state.connection.is === "stopped");
  const { connection } = alice.state;
  assert.equal(connection.is === "stopped" && connection.code, "replaced");
});

test("C24: listeners hear once of all changes of a tick, and each state is a new one that stays as it is", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  let calls = 0;
  const states = new Set<ClientState>();
  const stop = alice.client.subscribe(() => {
    calls++;
    states.add(alice.client.state);
    assert.equal(alice.client.state, alice.client.state);
  });
  const before = alice.client.state;
  const kept = JSON.stringify(before);
  await alice.client.send(bob.account, "one");
  await alice.last(bob.account, "delivered");
  stop();
  assert.equal(states.size, calls);
  assert.ok(!states.has(before));
  assert.equal(JSON.stringify(before), kept);
  const { length } = [...states];
  await alice.client.send(bob.account, "two");
  assert.equal([...states].length, length);
});

test("C24: presence is shown as it changes", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const online = () => alice.state.people.find(({ account }) => account === bob.account)?.online;
  const { account } = bob.state.me;
  await alice.until("Bob is there", () => online() === true);
  await bob.client.close();
  await alice.until("Bob away", (s) =>
    s.phase === "joined" ? s.people.some((who) => who.account === account && !who.online) : false,
  );
  await bob.restart();
  await alice.until("Bob back", () => online() === true);
  await alice.unplug();
  assert.equal(online(), false, "nobody is known to be there without a server");
  await alice.plug();
  await alice.until("Bob is there", () => online() === true);
});

test("C8: a text that is no letter's is refused with words before it is kept", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const refused = (text: string, expected: object) =>
    assert.rejects(alice.client.send(bob.account, text), expected);
  await refused("", { code: "malformed", message: "the text is empty" });
  await refused("a\u0007b", { code: "malformed", message: /control characters/ });
  await refused("\ud800", { code: "malformed" });
  await refused("é".repeat(32_769), { code: "too-large", message: /65538 bytes, at most 65536/ });
  await assert.rejects(alice.client.send("A".repeat(43) as typeof bob.account, "x"), { code: "not-found" });
  assert.deepEqual(await alice.texts(bob.account), []);
  const whole = "\n".repeat(65_536);
  await alice.client.settled(await alice.client.send(bob.account, whole));
  assert.deepEqual(await bob.arrivals(1), [whole]);
});

test("C8 E9: a byte order mark, as some systems' files begin with one, is taken off before a letter is kept", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await alice.client.settled(await alice.client.send(bob.account, "\ufeffhello"));
  assert.deepEqual(await bob.arrivals(1), ["hello"]);
  assert.deepEqual(await alice.texts(bob.account), ["hello"]);
});

test("C8: letters are paged from the newest back", async () => {
  await using room = await alone();
  const { alice } = room;
  for (const text of ["a", "b", "c", "d", "e"]) await alice.client.send(alice.account, text);
  const page = async (before?: number) =>
    alice.client.letters({ thread: alice.account, most: 2, ...(before === undefined ? {} : { before }) });
  const last = await page();
  assert.deepEqual(
    last.map(({ text }) => text),
    ["d", "e"],
  );
  const middle = await page(last[0]?.order);
  assert.deepEqual(
    middle.map(({ text }) => text),
    ["b", "c"],
  );
  assert.deepEqual(
    (await page(middle[0]?.order)).map(({ text }) => text),
    ["a"],
  );
});
