import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { limits, operations } from "@snug/protocol";
import { WebSocket } from "ws";
import { held, heldSince } from "./held.ts";
import { bootServer } from "./server.ts";
import { joinRaw, letterTo } from "./wire.ts";

const inLimits = "packages/server/test/limits.test.ts";
const inJoining = "packages/server/test/joining.test.ts";
const inGrants = "packages/server/test/grants.test.ts";
const inDelivery = "packages/server/test/delivery.test.ts";
const inRegressions = "testing/regressions.test.ts";

/** Each bound, and the test that crosses it on a running part: this file does not compile without one. */
const crossed: Readonly<Record<keyof typeof limits, readonly [file: string, title: string]>> = {
  frame: ["packages/server/test/edges.test.ts", "P9 R4: what is no request closes the connection"],
  depth: [inLimits, "P4 depth: "],
  text: [inRegressions, "R20: "],
  sealed: [inLimits, "P9 sealed, statement"],
  statement: [inLimits, "P9 sealed, statement"],
  name: [inRegressions, "R17: "],
  directoryPage: [inLimits, "I12 P14 devices, statements, directoryPage: "],
  rowBatch: [inLimits, "D10 rowBatch: "],
  devices: [inLimits, "I12 P14 devices, statements, directoryPage: "],
  encryptionKeys: [inLimits, "I4 encryptionKeys: "],
  recoveryBlob: [inLimits, "P9 sealed, statement, invite, recoveryBlob"],
  body: [inLimits, "P18 body: "],
  authenticate: ["packages/server/test/edges.test.ts", "P6 P17 R18: "],
  request: [inLimits, "P17 request: "],
  pipelined: ["packages/server/test/holding.test.ts", "P36 pipelined: "],
  watching: ["packages/server/test/library-routes.test.ts", "P37 watching: "],
  inboxRows: ["packages/server/test/storeContract.ts", "D14: what waits for one account is bounded"],
  inboxBytes: [inDelivery, "D14: "],
  senderRows: ["packages/server/test/storeContract.ts", "D14: "],
  senderBytes: ["packages/server/test/storeContract.ts", "D14: "],
  buffered: [inDelivery, "R7 P15: "],
  stalled: [inDelivery, "R13 D10: "],
  sockets: [inLimits, "P30 sockets: "],
  connections: [inLimits, "P30 greetings, connections, devices: "],
  greetings: [inLimits, "P30 greetings, connections, devices: "],
  statements: [inLimits, "I12 P14 devices, statements, directoryPage: "],
  directory: ["packages/server/test/directory-log.test.ts", "P45 directory: "],
  invites: [inJoining, "P34 invites, inviteUses"],
  inviteUses: [inJoining, "P34 invites, inviteUses"],
  adminInvites: [inJoining, "P34 invites, inviteUses"],
  adminInviteUses: [inJoining, "P34 invites, inviteUses"],
  accounts: [inJoining, "P34 accounts: "],
  presence: ["packages/protocol/test/presence.test.ts", "P43 presence: "],
  blocks: ["packages/server/test/blocks.test.ts", "D30 P33 blocks: "],
  invite: [inLimits, "P9 sealed, statement, invite"],
  restoring: ["packages/server/test/restoring.test.ts", "D18, D19: "],
  restoredStatements: ["packages/server/test/restoring.test.ts", "D20"],
  restoredCounters: ["packages/server/test/restoring.test.ts", "D5, D22: "],
  setupLink: [inLimits, "P20 P23 setupLink, token, session: "],
  token: [inLimits, "P20 P23 setupLink, token, session: "],
  session: [inLimits, "P20 P23 setupLink, token, session: "],
  grantOpen: [inGrants, "P21: a grant is opened within ten minutes"],
  grantExtra: [inGrants, "P21: a grant is opened within ten minutes"],
  ping: [inRegressions, "R5: who is only silent"],
};

it("P18: every bound of the protocol is crossed by a test that is there", async () => {
  assert.deepEqual(Object.keys(crossed).sort(), Object.keys(limits).sort());
  for (const [limit, [file, title]] of Object.entries(crossed)) {
    const text = await readFile(new URL(`../${file}`, import.meta.url), "utf8");
    assert.match(
      text,
      new RegExp(`["\x60]${RegExp.escape(title)}`),
      `${limit}: ${file} has no test ${title}`,
    );
  }
});

it("D10: who asks for its letters again and again and takes none costs the server no memory", async () => {
  await using server = await bootServer();
  const [alice, bob] = [await joinRaw(server, "alice"), await joinRaw(server, "bob")];
  await using fromAlice = await alice.connect();
  const large = new Uint8Array(limits.sealed).fill(7);
  for (let counter = 1; counter <= 60; counter++) {
    await fromAlice.request("submit", letterTo(bob.inbox, counter, large));
  }
  await using greedy = await bob.connect();
  const before = held();
  greedy.socket.pause();
  const { inbox: stream, incarnation } = bob;
  const times = operations["stream-read"].rate.burst - 1;
  for (let count = 0; count < times; count++) {
    greedy.request("stream-read", { stream, incarnation, after: 0 }).catch(() => undefined);
  }
  // The server looks at one after the other: it has looked at whatever it will look at by now.
  for (let counter = 1; counter <= 100; counter++) {
    await fromAlice.request("submit", letterTo(alice.inbox, counter));
  }
  // Held for each of them, 256 KiB would be 64 MiB.
  const bound = 8 * 1024 * 1024;
  const grown = await heldSince(before, bound);
  assert.ok(grown < bound, `${grown} bytes for ${times} times`);
  assert.equal(greedy.socket.readyState, WebSocket.OPEN);
});
