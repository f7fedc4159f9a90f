import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { encodeRequest, limits, operations, type Request } from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { ended } from "../../../testing/ended.ts";
import { held, heldSince } from "../../../testing/held.ts";
import { patience } from "../../../testing/patience.ts";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo, type Wire } from "../../../testing/wire.ts";
import { createListeners, Port } from "../src/port.ts";
import { Buckets } from "../src/rates.ts";
import { openOwnIdentity } from "../src/tls/authority.ts";

/** A request as a masked frame of RFC 6455 §5.2, under a mask of zeros: sent as it is, again and again, without a copy. */
function maskedFrame(request: Request): Buffer {
  const payload = encodeRequest(request);
  const head = Buffer.alloc(14);
  head.writeUInt16BE(0x82ff);
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

/** The connection below a WebSocket, for frames that ws would not send. */
function below({ socket }: Wire): Socket {
  return Reflect.get(socket, "_socket") as Socket;
}

describe("what one visitor makes the server hold", () => {
  it("P36 pipelined: requests of one connection are answered one after the other, and none is begun for who is gone", async () => {
    const folder = await mkdtemp(join(tmpdir(), "snug-port-"));
    const identity = await openOwnIdentity(folder, ["localhost"]).finally(() =>
      rm(folder, { recursive: true }),
    );
    await using port = await Port.bind("127.0.0.1", 0, () => true);
    const begun: ServerResponse[] = [];
    port.open(createListeners((_request, response) => void begun.push(response), identity));
    const ask = (count: number): Socket => {
      const socket = connect(port.number, "127.0.0.1");
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(count));
      return socket;
    };
    const asking = ask(1 + limits.pipelined);
    let answers = "";
    asking.setEncoding("latin1").on("data", (text: string) => {
      answers += text;
    });
    for (let count = 1; count <= 1 + limits.pipelined; count++) {
      await eventually(`request ${count}`, () => begun.length === count);
      begun.at(-1)?.end(`answer ${count};`);
    }
    await eventually("all answers", () => answers.includes(`answer ${1 + limits.pipelined};`));
    assert.deepEqual(
      answers.match(/answer \d+/g),
      begun.map((_, at) => `answer ${at + 1}`),
    );
    asking.destroy();

    begun.length = 0;
    const leaving = ask(3);
    await eventually("the first", () => begun.length === 1);
    leaving.destroy();
    await eventually("it is over", () => begun[0]?.closed);
    const greedy = ask(2 + limits.pipelined);
    await ended(greedy);
    assert.equal(begun.length, 2);
    assert.ok(begun.every(({ closed }) => closed));
  });

  it("P38: of a device that reads nothing no more than a few frames are taken", async () => {
    await using server = await bootServer();
    const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
    await using fromAlice = await alice.connect();
    const large = new Uint8Array(limits.sealed).fill(7);
    for (let counter = 1; counter <= 60; counter++) {
      await fromAlice.request("submit", letterTo(bob.inbox, counter, large));
    }
    await using greedy = await bob.connect();
    const frame = maskedFrame({ number: 9, name: "submit", body: letterTo(bob.inbox, 1, large) });
    greedy.socket.pause();
    const { inbox: stream, incarnation } = bob;
    greedy.request("stream-read", { stream, incarnation, after: 0 }).catch(() => undefined);
    const before = held();
    for (let count = 0; count < 80; count++) below(greedy).write(frame);
    // By then the server has looked at whatever it will look at.
    for (let count = 0; count < 200; count++) await fromAlice.request("directory-read", { from: 0 });
    const grown = await heldSince(before, 4 * 1024 * 1024);
    assert.ok(grown < 4 * 1024 * 1024, `${grown} bytes are held of one device`);
  });

  it("P38: of a device that writes faster than the disk takes it no more than a few letters are on their way", async () => {
    await using server = await bootServer();
    const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
    await using fromAlice = await alice.connect();
    await using greedy = await bob.connect();
    const body = letterTo(bob.inbox, 1, new Uint8Array(limits.sealed).fill(7));
    const frame = maskedFrame({ number: 9, name: "submit", body });
    const before = held();
    // The server's own last change may still be under way.
    const disk = new DatabaseSync(join(server.data, "snug.db"), { timeout: patience });
    disk.exec("BEGIN IMMEDIATE");
    for (let count = 0; count < 100; count++) below(greedy).write(frame);
    for (let count = 0; count < 200; count++) await fromAlice.request("directory-read", { from: 0 });
    const grown = await heldSince(before, 8 * 1024 * 1024);
    disk.exec("ROLLBACK");
    disk.close();
    assert.ok(grown < 8 * 1024 * 1024, `${grown} bytes are held of one device`);
    const read = { stream: bob.inbox, incarnation: bob.incarnation, after: 0 };
    await eventually("one letter", async () => (await greedy.request("stream-read", read)).head === 1);
    assert.equal((await fromAlice.request("submit", letterTo(bob.inbox, 1))).seq, 2);
  });

  it("P38: a message comes in at most 256 fragments", async () => {
    await using server = await bootServer();
    const alice = await joinRaw(server, "alice");
    await using wire = await alice.connect();
    const { socket } = wire;
    const inFragments = (text: Uint8Array, count: number): void => {
      for (let at = 0; at < count - 1; at++)
        socket.send(text.subarray(at, at + 1), { fin: false, binary: true });
      socket.send(text.subarray(count - 1), { fin: true, binary: true });
    };
    const request = encodeRequest({
      number: 5,
      name: "submit",
      body: letterTo(alice.inbox, 1, new Uint8Array(300).fill(7)),
    });
    inFragments(request, 256);
    const { rows } = await arrived(wire, alice.inbox, alice.incarnation);
    assert.equal(rows.length, 1);
    inFragments(request, 257);
    await assert.rejects(wire.request("invite-list", {}));
    assert.equal(await wire.closed, 1008);
  });

  it("P31: the library's list and titles are refused above their rate, for that device only", async ({
    mock,
  }) => {
    await using server = await bootServer();
    const passes: string[] = [];
    for (const name of ["alice", "bob"]) {
      const person = await joinRaw(server, name);
      await using wire = await person.connect();
      passes.push((await wire.request("token-create", {})).token);
    }
    const [alice = "", bob = ""] = passes;
    const now = Date.now();
    mock.method(Date, "now", () => now);
    for (const name of ["library-read", "title-read"] as const) {
      const { transport, rate } = operations[name];
      const ask = async (token: string): Promise<number> => {
        const path = transport.path.replace(":title", "AAAAAAAAAAAAAAAAAAAAAA");
        const answer = await fetch(`${server.localUrl}${path}`, {
          headers: { authorization: `Bearer ${token}` },
        });
        await answer.arrayBuffer();
        return answer.status;
      };
      const usual = name === "library-read" ? 200 : 404;
      for (let count = 0; count < rate.burst; count++) assert.equal(await ask(bob), usual);
      assert.equal(await ask(bob), 429, name);
      assert.equal(await ask(alice), usual, name);
      assert.equal(await ask("none"), 401, name);
    }
  });

  it("P31: many thousands of visitors within a second cost as much each as a few", () => {
    let looks = 0;
    const buckets = new Buckets(operations.join.rate, () => {
      looks++;
      return 0;
    });
    for (let visitor = 0; visitor < 20_000; visitor++) assert.ok(buckets.allows(String(visitor)));
    assert.ok(looks < 20_100, `all were looked through ${looks - 20_000} times`);
  });
});

async function arrived(
  wire: Wire,
  stream: Parameters<typeof letterTo>[0],
  incarnation: string,
): Promise<{ rows: readonly unknown[] }> {
  await wire.request("stream-read", { stream, incarnation: incarnation as never, after: 0 });
  return wire.next("rows");
}
