import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import {
  AccountId,
  DeviceId,
  decodeServerFrame,
  isPresent,
  limits,
  randomId,
  takePresence,
  toBase64url,
} from "@snug/protocol";
import { Port } from "../src/port.ts";
import { Connections, type Present, pingEvery } from "../src/socket/connections.ts";
import { Turnstile } from "../src/turnstile.ts";

/** Somebody at a position of the directory, with a connection that keeps what it is sent. */
class Guest implements Present {
  readonly account: AccountId;
  readonly device: DeviceId = randomId(DeviceId);
  readonly frames: Uint8Array[] = [];
  pings = 0;
  closed = "";
  came = 0;

  constructor(position: number) {
    const bytes = new Uint8Array(32);
    new DataView(bytes.buffer).setUint32(0, position);
    this.account = AccountId.parse(toBase64url(bytes));
  }

  push(frame: Uint8Array): void {
    this.frames.push(frame);
  }

  readonly appended = (): undefined => undefined;

  ping(): void {
    this.pings++;
  }

  close(why: string): void {
    this.closed = why;
  }

  /** By all that was pushed. */
  sees(position: number): boolean {
    let bits: Uint8Array = new Uint8Array();
    for (const frame of this.frames) {
      const decoded = decodeServerFrame(frame);
      assert.ok(decoded.type === "event" && decoded.event.name === "presence");
      bits = takePresence(bits, decoded.event.body.runs);
    }
    return isPresent(bits, position);
  }
}

class Lobby {
  readonly guests: readonly Guest[];
  readonly connections: Connections;
  now = 0;

  constructor(size: number) {
    this.guests = Array.from({ length: size }, (_, position) => new Guest(position));
    const positions = new Map(this.guests.map(({ account }, position) => [account, position]));
    this.connections = new Connections({
      positionOf: (account) => positions.get(account) ?? Number.NaN,
      now: () => this.now,
    });
  }

  comes(guest: Guest): void {
    this.connections.add(guest, guest.account, guest.device);
    this.connections.greet(guest);
  }

  goes(guest: Guest): void {
    this.connections.remove(guest, guest.account, guest.device);
  }
}

test("P16: of two connections of a device the one that came first gives way, also when it signs in last", () => {
  for (const signIns of [
    [0, 1],
    [1, 0],
  ]) {
    const [other, guest] = [new Guest(0), new Guest(1)];
    const lobby = new Lobby(2);
    const links = [guest, new Guest(1)];
    for (const link of links) link.came = lobby.connections.count();
    lobby.comes(other);
    for (const at of signIns) lobby.connections.add(links[at] ?? other, guest.account, guest.device);
    assert.deepEqual(
      links.map(({ closed }) => closed),
      ["replaced", ""],
    );
    assert.equal(lobby.connections.ofDevice(guest.device), links[1]);
    // As a connection does that was closed.
    lobby.connections.remove(guest, guest.account, guest.device);
    assert.equal(lobby.connections.ofDevice(guest.device), links[1]);
    lobby.connections.remove(links[1] ?? other, guest.account, guest.device);
    assert.equal(lobby.connections.size, 1);
  }
});

test("P43: thousands who come at once are told in few frames, made once for all; nobody misses anybody", async ({
  mock,
}) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const size = 3000;
  const lobby = new Lobby(size);
  const turns = Math.ceil(size / 64);
  const wait = async (ms: number): Promise<void> => {
    lobby.now += ms;
    mock.timers.tick(ms);
    for (let turn = 0; turn < turns; turn++) await setImmediate();
  };
  for (const guest of lobby.guests) lobby.comes(guest);
  await wait(size / 2);
  const [first, second] = lobby.guests;
  assert.ok(first && second);
  // The greeting, and one frame with all who came since.
  for (const { frames } of lobby.guests) assert.equal(frames.length, 2);
  for (const { frames } of lobby.guests) assert.equal(frames[1], first.frames[1]);
  for (const guest of lobby.guests) for (const at of [0, 1, 1499, size - 1]) assert.ok(guest.sees(at));
  // Who comes before it was told that somebody has gone, and hears of it with the others.
  await wait(size / 2);
  lobby.goes(first);
  assert.equal(second.frames.length, 3, "one who goes in a quiet room is told of at once");
  lobby.goes(second);
  lobby.comes(first);
  await wait(size / 2 - 1);
  assert.equal(first.sees(1), true);
  await wait(1);
  for (const guest of lobby.guests) {
    if (guest === second) continue;
    assert.deepEqual([guest.sees(0), guest.sees(1)], [true, false]);
  }
  // What is taken back before it is told is not told.
  const third = lobby.guests[2];
  assert.ok(third);
  lobby.goes(third);
  await wait(size / 2);
  const told = first.frames.length;
  lobby.comes(second);
  lobby.comes(third);
  lobby.goes(third);
  await wait(size / 2);
  assert.equal(first.frames.length, told + 1);
  assert.deepEqual([first.sees(1), first.sees(2)], [true, false]);
});

test("P13: each link is asked for a sign of life once in 20 s, not all of them at the same moment", () => {
  const lobby = new Lobby(500);
  for (const guest of lobby.guests) lobby.comes(guest);
  let most = 0;
  for (let passed = 0; passed < limits.ping; passed += pingEvery) {
    const before = lobby.guests.filter(({ pings }) => pings > 0).length;
    lobby.connections.ping();
    most = Math.max(most, lobby.guests.filter(({ pings }) => pings > 0).length - before);
  }
  assert.ok(lobby.guests.every(({ pings }) => pings === 1));
  assert.ok(most < 200, `${most} at once`);
});

test("P44: of many links 64 are asked for a sign of life in one turn of the loop", async ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const lobby = new Lobby(3000);
  for (const guest of lobby.guests) lobby.comes(guest);
  const asked = (): number => lobby.guests.filter(({ pings }) => pings > 0).length;
  lobby.connections.ping();
  assert.equal(asked(), 64);
  await setImmediate();
  assert.equal(asked(), 128);
});

test("P44: a turnstile lets 4 through in one turn of the loop, in the order in which they came", async () => {
  const turnstile = new Turnstile();
  const passed: number[] = [];
  for (let n = 0; n < 10; n++) turnstile.pass(() => passed.push(n));
  assert.equal(passed.length, 0);
  await setImmediate();
  assert.equal(passed.length, 4);
  turnstile.pass(() => turnstile.pass(() => passed.push(11)));
  turnstile.pass(() => passed.push(10));
  await setImmediate();
  assert.equal(passed.length, 8);
  await setImmediate();
  assert.equal(passed.length, 11);
  await setImmediate();
  assert.deepEqual(
    passed,
    Array.from({ length: 12 }, (_, n) => n),
  );
});

test("P44: of many connections 4 are looked at in one turn of the loop, when they come and when they speak at once", async () => {
  let come = 0;
  await using port = await Port.bind("127.0.0.1", 0, () => {
    come++;
    return false;
  });
  const call = async (): Promise<Socket> => {
    const socket = connect(port.number, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  const callers = await Promise.all(Array.from({ length: 50 }, call));
  for (const socket of callers) socket.write("G");
  // Every one of them waits in the server by now.
  while (port.traffic().received < 50) await setImmediate();
  const listeners = { plain: createServer(), tls: createTlsServer() };
  let taken = 0;
  listeners.plain.on("connection", () => taken++);
  port.open(listeners);
  const takes = async (count: number): Promise<void> => {
    for (let before = taken; taken < count; before = taken) {
      await setImmediate();
      assert.ok(taken - before <= 4, `${taken - before} in one turn`);
    }
  };
  await takes(50);
  const silent = await Promise.all(Array.from({ length: 50 }, call));
  callers.push(...silent);
  while (come < callers.length) await setImmediate();
  for (const socket of silent) socket.write("G");
  await takes(100);
  for (const socket of callers) socket.destroy();
});
