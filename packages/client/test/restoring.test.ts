import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { adoptFolder, type RunningServer, startServer } from "@snug/server";
import { type Pair, type Person, pair } from "./people.ts";

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
    const { options, port } = this.#room.server;
    this.#server = await startServer({ ...options, port });
  }

  async stop(): Promise<void> {
    await (this.#server ?? this.#room.server).close();
  }

  /** Puts the folder back as it was, with what `snug restore --adopt` does to it, and starts the server. */
  async putBack({ adopt = true } = {}): Promise<void> {
    await this.stop();
    const { data } = this.#room.server;
    await rm(data, { recursive: true });
    await cp(this.#copy, data, { recursive: true });
    if (adopt) await adoptFolder(data, Date.now());
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
