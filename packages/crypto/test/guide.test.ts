import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { openLetter } from "../src/sealing/letters.ts";
import { accountOf, letterBetween, makeRoom, openerOf, personOf, type Room } from "./people.ts";

interface Guide {
  write(of: object): Promise<string>;
  read(of: object): Promise<{ id: string; from: object; content: { parts: { text: string }[] } }>;
}

const text = readFileSync(new URL("../../../docs/guides/letter-with-jose.md", import.meta.url), "utf8");
const block = /```js\n(.*?)```/s.exec(text)?.[1] ?? "";

let room: Room;
let guide: Guide;
before(async () => {
  room = await makeRoom(["Alice", "Bob"]);
  // A data: URL can't resolve a bare name; nothing else of the block changes.
  const code = block.replace('from "jose"', `from ${JSON.stringify(import.meta.resolve("jose"))}`);
  guide = await import(`data:text/javascript,${encodeURIComponent(code)}`);
});

test("L1: the guide's block has at most 20 lines and uses nothing but jose", () => {
  assert(block.split("\n").filter((line) => line.trim() !== "").length <= 20);
  assert.deepEqual(
    [...block.matchAll(/from "([^"]+)"/g)].map(([, name]) => name),
    ["jose"],
  );
});

test("L6: a letter written with nothing but jose opens in Snug", async () => {
  const alice = personOf(room, "Alice");
  const bob = accountOf(room.directory, personOf(room, "Bob").account);
  const { row } = letterBetween(room, "Alice", "Bob", "x");
  const publicKey = accountOf(room.directory, alice.account).devices.get(alice.device)?.key;
  const letter = await guide.write({
    server: room.server,
    from: { account: alice.account, device: alice.device, privateKey: alice.keys.device, publicKey },
    to: { account: bob.id, encryption: bob.encryption.at(-1)?.key },
    id: row.id,
    counter: row.counter,
    text: "The freezer is at −4 °C",
  });
  const opened = await openLetter(new TextEncoder().encode(letter), { ...openerOf(room, "Bob"), row });
  assert.equal(opened.content.parts[0]?.text, "The freezer is at −4 °C");
  assert.equal(opened.from, alice.account);
});

test("L6: a letter written by Snug is read with nothing but jose", async () => {
  const [alice, bob] = [personOf(room, "Alice"), personOf(room, "Bob")];
  const { row, seal } = letterBetween(room, "Alice", "Bob", "Close the door, please");
  const read = await guide.read({
    letter: new TextDecoder().decode(await seal()),
    privateKey: bob.keys.encryption[0]?.key,
    author: accountOf(room.directory, alice.account).devices.get(alice.device)?.key,
  });
  assert.equal(read.content.parts[0]?.text, "Close the door, please");
  assert.deepEqual([read.id, read.from], [row.id, { account: alice.account, device: alice.device }]);
});

test("L5: the guide's reader refuses a letter by another author than it was told", async () => {
  const bob = personOf(room, "Bob");
  const { seal } = letterBetween(room, "Alice", "Bob", "x");
  const author = accountOf(room.directory, bob.account).devices.get(bob.device)?.key;
  const letter = new TextDecoder().decode(await seal());
  const reading = guide.read({ letter, privateKey: bob.keys.encryption[0]?.key, author });
  await assert.rejects(reading, { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
});
