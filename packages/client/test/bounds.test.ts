import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { applyStatement, emptyDirectory, generateLogKey, nextHead, serverIdOf } from "@snug/crypto/identity";
import { createAccount, signStatement } from "@snug/crypto/sealing";
import {
  type DirectoryEntry,
  decodeServerFrame,
  encodeEvent,
  encodeResponse,
  MessageId,
  type Row,
  randomId,
  SnugError,
  StreamId,
  sha256,
} from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { patience } from "../../../testing/patience.ts";
import { DirectoryLog } from "../src/directory.ts";
import { nodePlatform } from "../src/node/index.ts";
import { Notices } from "../src/notices.ts";
import { Records } from "../src/records.ts";
import { Person, pair } from "./people.ts";

/** A server that adds to its directory for ever: one account whose statements go on and on. */
async function endless() {
  const first = await generateLogKey();
  const server = await serverIdOf(first.public);
  const made = await createAccount({ server, display: "Mallory", invite: null, now: 0 });
  let { directory, account } = await applyStatement(emptyDirectory(server), made.genesis);
  const keyId = directory.accounts.get(account)?.signingKeyId;
  assert.ok(keyId);
  const entries: DirectoryEntry[] = [{ statement: made.genesis, inbox: randomId(StreamId) }];
  let asked = 0;
  return {
    room: { server, logKey: first.public },
    asked: () => asked,
    spoil: () => {
      const [genesis] = entries;
      assert.ok(genesis);
      genesis.statement[genesis.statement.length - 1] = (genesis.statement.at(-1) ?? 0) ^ 1;
    },
    request: async (from: number) => {
      asked++;
      while (entries.length <= from + 3) {
        const head = nextHead(directory, account, 0);
        const body = { account, role: "admin" as const };
        const statement = await signStatement({ key: made.keys.signing, keyId, head, kind: "role", body });
        ({ directory, account } = await applyStatement(directory, statement));
        entries.push({ statement, inbox: null });
      }
      return { from, entries: entries.slice(from, from + 3), size: 1e15, checkpoint: "" };
    },
  };
}

test("P45 C6: a directory without an end is verified page by page, and stopped at; nothing of it is kept", async () => {
  await using person = await Person.open();
  const records = new Records(person.store);
  const server = await endless();
  const most = 20_000;
  const log = new DirectoryLog(records, server.room, {
    most,
    judge: async () => ({ changes: [], apply: () => undefined }),
    changed: () => undefined,
  });
  const link = { request: (_: string, { from }: { from: number }) => server.request(from) };
  const catchUp = () => log.catchUp(link as unknown as Parameters<DirectoryLog["catchUp"]>[0]);
  await assert.rejects(catchUp(), {
    code: "directory",
    message: /a directory of more than 1 MiB, as no server has/,
  });
  assert.ok(server.asked() > 2 && server.asked() < 12, `${server.asked()} pages`);
  assert.equal(log.directory.size, 0);
  assert.deepEqual(await records.list({ table: "directory" }), []);
  // What is no statement ends it at its page.
  server.spoil();
  const before = server.asked();
  await assert.rejects(catchUp(), { code: "directory", message: /can't accept/ });
  assert.equal(server.asked(), before + 1);
});

test("C41: an answer by HTTP that drips has failed after 30 s, in a terminal client too", {
  timeout: patience,
}, async (t) => {
  const answers: ServerResponse[] = [];
  const server = createServer((_, answer) => {
    answers.push(answer.writeHead(200, { "content-type": "application/json" }));
    answer.write(" ");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const asked = nodePlatform().fetch(
    { origin: `http://127.0.0.1:${port}`, authority: null },
    { method: "GET", path: "/api/library" },
  );
  let failed = false;
  asked.catch(() => {
    failed = true;
  });
  await once(server, "request");
  t.mock.timers.tick(29_999);
  answers[0]?.write(" ");
  await new Promise(setImmediate);
  assert.equal(failed, false);
  t.mock.timers.tick(1);
  await assert.rejects(asked, { name: "NetworkError", message: `127.0.0.1:${port}: no answer in time` });
});

test("C41: events that come faster than they are dealt with end the connection, and the next one goes on", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const sealed = new Uint8Array(250_000);
  const row = { stream: randomId(StreamId), account: alice.account, device: alice.state.me.device };
  const hash = await sha256(sealed);
  const rows: Row[] = [
    {
      ...{ ...row, seq: 1, incarnation: randomId(MessageId) as string as Row["incarnation"], kind: "letter" },
      ...{ class: "durable", id: randomId(MessageId), counter: 1, generation: null, epoch: null, sealed },
      ...{ sealedHash: hash, accepted: 0, expires: null, previous: hash, rowHash: hash },
    },
  ];
  const frame = encodeEvent("rows", { stream: row.stream, rows });
  for (let sent = 0; sent < 320; sent++) bob.platform.inject(frame);
  await bob.until("offline", (state) => state.phase === "joined" && state.connection.is === "offline");
  const { connection } = bob.state;
  assert.match(connection.is === "offline" ? connection.why : "", /more than this device can take in/);
  await alice.client.send(bob.account, "after it");
  await bob.plug();
  assert.deepEqual(await bob.arrivals(1), ["after it"]);
});

test("C41: send counters of streams that are nobody's inbox are not kept", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  await bob.client.settled(await bob.client.send(alice.account, "one"));
  await bob.unplug();
  bob.platform.onReceived = (bytes) => {
    const frame = decodeServerFrame(bytes);
    const body = frame.type === "response" ? (frame.body as { counters?: unknown[] }) : {};
    if (frame.type !== "response" || !body.counters) return bytes;
    const invented = Array.from({ length: 500 }, () => ({ stream: randomId(StreamId), counter: 9 }));
    return encodeResponse(frame.number, { ...body, counters: [...body.counters, ...invented] });
  };
  await bob.plug();
  assert.ok((await bob.store.list({ table: "counters" })).length <= 2);
  assert.deepEqual(bob.state.notices, []);
});

test("C41: notices are bounded: the first are kept, of the others it is said how many; quiet ones leave the loud their room", async () => {
  await using person = await Person.open();
  const records = new Records(person.store);
  const notices = new Notices(
    records,
    () => 0,
    () => undefined,
  );
  for (let at = 0; at < 200; at++) await notices.add("quiet", `quiet ${at}`);
  const loud = Array.from({ length: 300 }, (_, at) => notices.make("loud", `loud ${at}`));
  await records.commit(loud.map(({ change }) => change));
  for (const { show } of loud) show();
  const check = (shown: Notices["shown"]): void => {
    const of = (level: string) => shown.filter((notice) => notice.level === level).map(({ text }) => text);
    assert.deepEqual([of("quiet").length, of("loud").length], [128, 256]);
    assert.deepEqual([of("quiet")[0], of("loud")[254]], ["quiet 0", "loud 254"]);
    assert.match(of("quiet").at(-1) ?? "", /73 were left out/);
    assert.match(of("loud").at(-1) ?? "", /45 were left out/);
  };
  check(notices.shown);
  const again = new Notices(
    records,
    () => 0,
    () => undefined,
  );
  await again.load();
  check(again.shown);
  assert.equal((await person.store.list({ table: "notices" })).length, 128 + 256);
  const rest = again.shown.filter(({ text }) => /left out|loud 0$/.test(text));
  for (const { id } of rest) await again.dismiss(id);
  await again.add("loud", "news");
  assert.equal(again.shown.at(-1)?.text, "news");
});

test("C41: a list of videos that can't be read is said once, whatever the server's words for it", async () => {
  await using room = await pair();
  const { bob } = room;
  let asked = 0;
  bob.platform.onAnswer = ({ path }) => {
    if (path === "/api/library") throw new SnugError("internal", `words ${asked++}`);
  };
  for (let told = 1; told <= 5; told++) {
    bob.platform.inject(encodeEvent("library", { revision: told }));
    await eventually("it was asked for", () => asked === told);
  }
  await bob.platform.ask("delivery-read", { ids: [] });
  assert.equal((await bob.store.list({ table: "notices" })).length, 1);
});
