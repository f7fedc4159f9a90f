import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { encodeRequest, type Request } from "@snug/protocol";
import fc from "fast-check";
import { ended } from "../../../testing/ended.ts";
import { bootServer } from "../../../testing/server.ts";
import { joinRaw, letterTo, type RawPerson, type Wire } from "../../../testing/wire.ts";

/** Valid requests of many kinds, to be bent. */
function requests({ inbox, incarnation }: RawPerson): Uint8Array[] {
  const of = [
    { name: "submit", body: letterTo(inbox, 1) },
    { name: "stream-read", body: { stream: inbox, incarnation, after: 0 } },
    { name: "stream-cursor", body: { stream: inbox, incarnation, seq: 0 } },
    { name: "delivery-read", body: { ids: [] } },
    { name: "statement-append", body: { statement: new Uint8Array(300) } },
    { name: "invite-create", body: { hash: "A".repeat(43), uses: 1, lifetime: 60_000 } },
    { name: "sign-in", body: { version: 1 } },
  ];
  return of.map((request, number) => encodeRequest({ number, ...request } as unknown as Request));
}

test("P9: bent frames end their connection at worst; everybody else is served", async () => {
  await using server = await bootServer();
  const [alice, mallory] = [await joinRaw(server, "alice"), await joinRaw(server, "mallory")];
  await using wire = await alice.connect();
  const valid = requests(alice);
  let hostile: Wire = await mallory.connect();
  const bend = fc.record({
    frame: fc.integer({ min: 0, max: valid.length - 1 }),
    flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
    cut: fc.option(fc.nat(), { nil: undefined }),
    more: fc.uint8Array({ maxLength: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(bend, async ({ frame, flips, cut, more }) => {
      const bytes = Uint8Array.from(valid[frame] ?? []);
      for (const [at, flip] of flips) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip;
      if (hostile.socket.readyState !== hostile.socket.OPEN) hostile = await mallory.connect();
      const end = cut === undefined ? bytes.length : cut % bytes.length;
      hostile.socket.send(Buffer.concat([bytes.subarray(0, end), more]));
      assert.equal((await wire.request("directory-read", { from: 0 })).size, 2);
    }),
    { seed: 20_261_122, numRuns: 500 },
  );
  await hostile[Symbol.asyncDispose]();
  assert.equal((await wire.request("directory-read", { from: 0 })).entries.length, 2);
});

test("P1: bytes that are neither HTTP nor TLS, and TLS that breaks off, harm nobody", async () => {
  await using server = await bootServer();
  const junk = [
    [0],
    [0x16, 3, 1, 0xff, 0xff],
    [0x16, 3, 1, 0, 2, 1, 0],
    [0xff, 0xfe, 0xfd],
    [...Buffer.from("QUIT\r\n\r\n")],
  ];
  for (const bytes of junk) {
    const socket = connect(server.port, "127.0.0.1");
    socket.end(Uint8Array.from(bytes));
    await ended(socket);
  }
  assert.equal((await fetch(`${server.localUrl}/authority.crt`)).status, 200);
});
