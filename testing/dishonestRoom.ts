import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AccountId, decodeInviteLink, type Row, ServerId } from "@snug/protocol";
import { eventually, launchBrowser, openPerson, tall } from "./browser.ts";
import { ownKeys } from "./forgeries.ts";
import { BrowserSeat, type Seat, shows, TerminalSeat } from "./seats.ts";
import { ServedServer, spkiOf } from "./served.ts";
import type { RowLie } from "./tamperedLog.ts";
import { TamperingServer } from "./tamperingServer.ts";
import { joinByInvite, type RawPerson, type WireServer } from "./wire.ts";

/** Two people who know each other, one at a browser, one at a terminal, behind a server that can lie to each. */
export class DishonestRoom implements AsyncDisposable {
  readonly tamper: TamperingServer;
  readonly alice: BrowserSeat;
  readonly bob: TerminalSeat;
  /** Has joined by Alice's invite and has no screen: her keys are in our hands. */
  readonly carol: RawPerson;
  /** What the server signs with in the place of somebody whose keys it lacks. */
  readonly own: Awaited<ReturnType<typeof ownKeys>>;
  /** For homes. */
  readonly folder: string;
  /** Where raw clients find the tampering server. */
  readonly wire: WireServer;
  readonly #accounts: ReadonlyMap<Seat, AccountId>;
  readonly #opened: AsyncDisposableStack;
  #said = 0;

  private constructor(
    of: Pick<DishonestRoom, "tamper" | "alice" | "bob" | "carol" | "own" | "folder" | "wire">,
    accounts: ReadonlyMap<Seat, AccountId>,
    opened: AsyncDisposableStack,
  ) {
    this.tamper = of.tamper;
    this.alice = of.alice;
    this.bob = of.bob;
    this.carol = of.carol;
    this.own = of.own;
    this.folder = of.folder;
    this.wire = of.wire;
    this.#accounts = accounts;
    this.#opened = opened;
  }

  static async open(): Promise<DishonestRoom> {
    await using opened = new AsyncDisposableStack();
    const served = opened.use(await ServedServer.start());
    const tamper = opened.use(await TamperingServer.before(served));
    const folder = await mkdtemp(join(tmpdir(), "snug-dishonest-"));
    opened.defer(() => rm(folder, { recursive: true, force: true }));
    const browser = await launchBrowser({ spki: await spkiOf(served.port) });
    opened.defer(() => browser.close());
    const { setupLink, serverId } = served.listening;
    const wire: WireServer = {
      localUrl: `http://localhost:${tamper.port}`,
      serverId: ServerId.parse(serverId),
      setupLink: async () => null,
    };
    const alice = new BrowserSeat("Alice", await openPerson(browser, tall));
    await alice.join(tamper.link(setupLink ?? ""));
    const bob = opened.use(await TerminalSeat.join("Bob", folder, await alice.invite()));
    const { secret, inviter } = decodeInviteLink(await alice.invite());
    const [carol, own] = await Promise.all([joinByInvite(wire, "Carol", { secret, inviter }), ownKeys()]);
    const accounts = new Map<Seat, AccountId>([
      [alice, await tamper.account("Alice")],
      [bob, await tamper.account("Bob")],
    ]);
    const room = new DishonestRoom({ tamper, alice, bob, carol, own, folder, wire }, accounts, opened.move());
    await room.settle();
    await alice.write("hello from the browser");
    await shows(bob, ["hello from the browser"]);
    await bob.write("hello from the terminal");
    await shows(alice, ["hello from the browser", "hello from the terminal"]);
    return room;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }

  idOf(seat: Seat): AccountId {
    const account = this.#accounts.get(seat);
    assert.ok(account);
    return account;
  }

  /** The newest row that somebody was shown. */
  async newestRow(seat: Seat): Promise<Row> {
    const row = (await this.tamper.inboxOf(this.idOf(seat))).shown.at(-1)?.row;
    assert.ok(row);
    return row;
  }

  /** What becomes of each letter of the other on its way to the victim; late copies of the victim's own are none. */
  async lettersFor(victim: Seat, other: Seat, lie: RowLie): Promise<void> {
    const from = this.idOf(other);
    await this.tamper.rowsFor(this.idOf(victim), (row) => (row.account === from ? lie(row) : [row]));
  }

  /** No more lies, and both before their conversation, with nothing to be told. */
  async settle(): Promise<void> {
    await this.tamper.confess();
    for (const seat of [this.alice, this.bob]) {
      // What was told late by the lies before may come now.
      await eventually("nothing to be told", async () => {
        await seat.calm();
        await seat.open(seat === this.alice ? "Bob" : "Alice");
        return (await seat.alarms()) === "";
      });
    }
    assert.equal(this.tamper.fault, null);
  }

  /** A text that was never there before, as one word. */
  say(word: string): string {
    return `${word}-${++this.#said}`;
  }

  /** An honest letter arrives, behind nothing else than `before`. */
  async goesOn(victim: Seat, other: Seat, ...before: string[]): Promise<void> {
    await this.tamper.confess();
    const text = this.say("honest");
    await other.write(text);
    await shows(victim, [...before, text]);
  }

  /** Nothing went wrong that no lie explains. */
  check(): void {
    const expected = /WebSocket connection|ERR_CONNECTION/;
    assert.deepEqual(
      this.alice.faults.filter((fault) => !expected.test(fault)),
      [],
    );
    assert.equal(this.tamper.fault, null);
  }
}

/** Registers one row of the table for whoever is lied to: once before the browser, once before the terminal. */
export function bothWays(
  it: (title: string, act: () => Promise<void>) => unknown,
  room: () => DishonestRoom,
): (
  title: string,
  act: (of: { readonly room: DishonestRoom; readonly victim: Seat; readonly other: Seat }) => Promise<void>,
) => void {
  return (title, act) => {
    for (const where of ["browser", "terminal"] as const) {
      it(`${title} (the ${where} is lied to)`, async () => {
        const { alice, bob } = room();
        await room().settle();
        const [victim, other] = where === "browser" ? [alice, bob] : [bob, alice];
        await act({ room: room(), victim, other });
      });
    }
  };
}
