import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Store } from "@snug/client";
import { decodeRequest, decodeServerFrame } from "@snug/protocol";
import { eventually } from "../../../testing/browser.ts";
import { type Person, pair } from "./people.ts";

/**
 * A device that ends at the n-th of its steps: before or behind a commit, before or behind a frame leaves, before one
 * that came is looked at. From there on nothing of it reaches its disk or the server.
 */
class Mortal {
  /** What it has come through, in words. */
  readonly steps: string[] = [];
  readonly #end: number;
  #person: Person | null = null;
  #dead = false;

  constructor(end: number) {
    this.#end = end;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Where it ended. */
  get last(): string {
    return this.steps.at(-1) ?? "nowhere";
  }

  /** Opens the person's client anew on a store and a line that end here. */
  async open(person: Person): Promise<void> {
    await person.restart((store) => this.#wrap(store));
    person.platform.onSent = (frame) => {
      const request = decodeRequest(frame);
      const name = "name" in request ? request.name : "?";
      this.#step(`before ${name} leaves`);
      if (this.#dead) return null;
      setImmediate(() => this.#step(`when ${name} has left`));
      return frame;
    };
    person.platform.onReceived = (bytes) => {
      const frame = decodeServerFrame(bytes);
      this.#step(`before ${frame.type === "event" ? frame.event.name : frame.type} is taken`);
      return this.#dead ? null : bytes;
    };
    await person.online();
    // Its steps count from here.
    this.steps.length = 0;
    this.#person = person;
  }

  /** Starts again on what its disk holds. */
  static async revive(person: Person): Promise<void> {
    person.platform.plugged = true;
    await person.restart();
    await person.online();
  }

  #step(what: string): void {
    if (this.#dead || !this.#person) return;
    this.steps.push(what);
    if (this.steps.length < this.#end) return;
    this.#dead = true;
    this.#person.platform.unplug();
  }

  #wrap(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (name !== "commit") return value.bind(target) as unknown;
        return async (changes: Parameters<Store["commit"]>[0]) => {
          const tables = [...new Set(changes.map(({ table }) => table))].sort().join(" + ");
          this.#step(`before ${tables} are stored`);
          if (this.#dead) throw new Error("killed");
          await target.commit(changes);
          this.#step(`when ${tables} are stored`);
          if (this.#dead) throw new Error("killed");
        };
      },
    });
  }
}

/** Nothing of the person's is on its way any more, or whoever it is for has died meanwhile. */
async function rests(person: Person, reader?: Mortal): Promise<void> {
  await eventually(
    "the outbox is empty",
    async () => reader?.dead || (await person.store.list({ table: "outbox" })).length === 0,
  );
}

function assertSilent(person: Person): void {
  assert.deepEqual(person.state.notices, []);
}

/** The steps that matter were among those where the device ended. */
function assertCovered(covered: ReadonlySet<string>, wanted: readonly RegExp[]): void {
  const missing = wanted.filter((step) => ![...covered].some((one) => step.test(one)));
  assert.deepEqual(missing, [], [...covered].join(", "));
}

test("C8, C9, C14: killed at any step of sending, a device that starts again has each letter it promised delivered once, in order", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const covered = new Set<string>();
  const expected: string[] = [];
  for (let end = 1; ; end++) {
    const mortal = new Mortal(end);
    await mortal.open(alice);
    const text = `killed at step ${end}`;
    const promised = await alice.client.send(bob.account, text).then(
      () => true,
      () => false,
    );
    while (!mortal.dead && (await alice.store.list({ table: "outbox" })).length > 0) await turn();
    for (const step of mortal.steps) covered.add(step);
    await Mortal.revive(alice);
    const kept = (await alice.texts(bob.account)).includes(text);
    assert.ok(kept || !promised, `lost: ${text}, ${mortal.last}`);
    if (kept) expected.push(text);
    await rests(alice);
    await alice.client.settled(await alice.client.send(bob.account, `behind step ${end}`));
    expected.push(`behind step ${end}`);
    await rests(alice);
    assert.deepEqual(await alice.texts(bob.account), expected, mortal.last);
    assert.deepEqual(await bob.texts(alice.account), expected, mortal.last);
    const letters = await alice.client.letters({ thread: bob.account, most: 1000 });
    assert.ok(letters.every(({ state }) => state.is === "delivered"));
    if (!mortal.dead) break;
  }
  assertSilent(alice);
  assertSilent(bob);
  const gaps = await bob.client.letters({ thread: alice.account, most: 1000 });
  assert.ok(gaps.every(({ state }) => state.is === "received" && !state.gapBefore));
  assertCovered(covered, [
    ...[/^before .*letters.*outbox.*received.* stored/, /^when .*letters.*outbox.*received.* stored/],
    ...[/^before submit leaves/, /^when submit has left/, /^before response is taken/],
    ...[/^before .*counters.*letters.*outbox are stored/, /^when .*counters.*letters.*outbox are stored/],
    ...[/^before .*counters.*outbox are stored/, /^when .*counters.*outbox are stored/],
    ...[
      /^before delivered is taken/,
      /^before letters.*outbox are stored/,
      /^when letters.*outbox are stored/,
    ],
  ]);
});

test("C17, C20: killed at any step of receiving, a device that starts again shows each letter once, in order", async () => {
  await using room = await pair();
  const { alice, bob } = room;
  const covered = new Set<string>();
  const expected: string[] = [];
  for (let end = 1; ; end++) {
    const mortal = new Mortal(end);
    await mortal.open(bob);
    const texts = [`${end}, first`, `${end}, second`];
    expected.push(...texts);
    for (const text of texts) await alice.client.send(bob.account, text);
    while (!mortal.dead && (await bob.texts(alice.account)).length < expected.length) await turn();
    await rests(alice, mortal);
    for (const step of mortal.steps) covered.add(step);
    await Mortal.revive(bob);
    await alice.last(bob.account, "delivered");
    await rests(alice);
    assert.deepEqual(await bob.texts(alice.account), expected, mortal.last);
    if (!mortal.dead) break;
  }
  assertSilent(alice);
  assertSilent(bob);
  const gaps = await bob.client.letters({ thread: alice.account, most: 1000 });
  assert.ok(gaps.every(({ state }) => state.is === "received" && !state.gapBefore));
  assertCovered(covered, [
    ...[/^before rows is taken/, /^before response is taken/],
    ...[/^before .*letters.*position.* stored/, /^when .*letters.*position.* stored/],
    ...[/^before stream-cursor leaves/, /^when stream-cursor has left/],
  ]);
});
