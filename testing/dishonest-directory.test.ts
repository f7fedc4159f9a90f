import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { importAccountKeys } from "@snug/crypto/sealing";
import { decodeCbor, decodeInviteLink, ServerId, toBase64url } from "@snug/protocol";
import { findingsOfAll } from "./axe.ts";
import { eventually } from "./browser.ts";
import { bothWays, DishonestRoom } from "./dishonestRoom.ts";
import { bodyOf, deviceOf, exchanged, forgeGenesis, forgeStatement } from "./forgeries.ts";
import { command, reads, type Seat, shows, tryCommand } from "./seats.ts";
import { inviteRaw, joinByInvite } from "./wire.ts";

describe("a dishonest server: directory and history", () => {
  let opened: DishonestRoom | undefined;
  const theRoom = (): DishonestRoom => {
    assert.ok(opened);
    return opened;
  };
  before(async () => {
    opened = await DishonestRoom.open();
  });
  after(() => opened?.[Symbol.asyncDispose]());
  const row = bothWays(it, theRoom);

  /** Stopped, and says so; once the server shows what it had shown, opening anew goes on. */
  const stopsUntilHonest = async (
    of: { readonly room: DishonestRoom; readonly victim: Seat; readonly other: Seat; readonly words: RegExp },
    repent: () => void | Promise<void>,
  ): Promise<void> => {
    const { room, victim, other, words } = of;
    await victim.alarm(words);
    await repent();
    await room.tamper.confess();
    await victim.restart();
    await victim.calm();
    await victim.open(other.name);
    await room.goesOn(victim, other);
    assert.equal(await victim.alarms(), "");
  };

  row(
    "T50: an old directory, old letters, an old count: stopped, and what is written waits",
    async ({ room, victim, other }) => {
      const account = room.idOf(victim);
      const size = room.tamper.log.entries.length;
      await room.tamper.directoryFor(account, (entries) => entries.slice(0, -1));
      await victim.alarm(
        new RegExp(
          `shows ${size - 1} statements, it had shown ${size}.*somebody may hide what came after`,
          "s",
        ),
      );
      const waiting = room.say("waits");
      await victim.write(waiting);
      await eventually("it waits", async () => (await victim.progress(waiting)) === "waiting");
      await victim.restart();
      await victim.alarm(new RegExp(`shows ${size - 1} statements, it had shown ${size}`));
      await room.tamper.confess();
      await victim.restart();
      await shows(other, [waiting]);
      await victim.calm();
      await victim.open(other.name);

      const bringBack = await room.tamper.rewind(account, 2);
      room.tamper.hangUp(account);
      await stopsUntilHonest(
        { room, victim, other, words: /server has lost letters that this device holds/ },
        bringBack,
      );

      room.tamper.answersFor(account, (name, body) =>
        name === "sign-in" ? { ...(body as object), counters: [] } : body,
      );
      room.tamper.hangUp(account);
      await stopsUntilHonest(
        { room, victim, other, words: /server has lost letters that it had acknowledged/ },
        () => undefined,
      );
    },
  );

  row("T51: letters rewritten behind one's back stop the connection", async ({ room, victim, other }) => {
    const account = room.idOf(victim);
    const restore = await room.tamper.rewind(account, 1);
    const like = await room.newestRow(victim);
    // Another letter in the place of the last one, then one more on top of it.
    await room.tamper.deliver(account, { ...like, counter: like.counter + 50 });
    await room.tamper.deliver(account, { ...like, counter: like.counter + 51 });
    await stopsUntilHonest(
      { room, victim, other, words: /does not continue what the server delivered before/ },
      async () => {
        await room.tamper.rewind(account, 2);
        restore();
      },
    );
  });

  row(
    "T52: statements that nobody with the right signed stop the connection: device, keys, role, removal, end of a device",
    async ({ room, victim, other }) => {
      const directory = await room.tamper.directory();
      const [forge, asCarol] = [
        { directory, account: room.idOf(other), key: room.own.signing },
        { directory, account: room.carol.account, key: room.carol.created.keys.signing },
      ];
      const mallory = await forgeGenesis(directory, "Mallory", room.idOf(other));
      const { device, signing, encryption } = bodyOf(mallory.genesis);
      const unsigned = /a statement that no key of its account signed/;
      const notRuling = /only an administrator gives roles, removes accounts or ends devices/;
      const account = room.carol.account;
      const forgeries: readonly (readonly [Uint8Array<ArrayBuffer>, RegExp])[] = [
        [await forgeStatement(asCarol, "role", { account, role: "admin" }), notRuling],
        // Each client judges by the same code: what one of them is shown is enough.
        ...(victim === room.alice
          ? ([
              [await forgeStatement(forge, "device-add", device), unsigned],
              [
                await forgeStatement(asCarol, "device-end", {
                  account: room.idOf(room.bob),
                  device: deviceOf(directory, room.idOf(room.bob)),
                }),
                notRuling,
              ],
            ] as const)
          : ([
              [await forgeStatement(forge, "rotate", { signing, encryption }), unsigned],
              // In the name of Alice, who rules.
              [await forgeStatement(forge, "account-remove", { account }), unsigned],
            ] as const)),
      ];
      for (const [statement, words] of forgeries) {
        await room.tamper.directoryFor(room.idOf(victim), (entries) => [
          ...entries,
          { statement, inbox: null },
        ]);
        await stopsUntilHonest({ room, victim, other, words }, () => undefined);
      }
      await reads(() => victim.trust(other.name), /verified/i);
      assert.doesNotMatch(await victim.trust("Carol"), /looks after/);
    },
  );

  row(
    "T66: who is told that their device was ended, which no statement says, loses nothing by it",
    async ({ room, victim, other }) => {
      const text = room.say("before");
      await other.write(text);
      await shows(victim, [text]);
      room.tamper.expel(room.idOf(victim));
      await victim.alarm(/this device was signed out/i);
      const waiting = room.say("waits");
      await victim.write(waiting);
      await eventually("it waits", async () => (await victim.progress(waiting)) === "waiting");
      await victim.restart();
      await victim.alarm(/the server does not let this device in any more/i);
      await victim.open(other.name);
      await shows(victim, [text, waiting]);
      await room.tamper.confess();
      await victim.restart();
      await shows(other, [text, waiting]);
      await victim.calm();
      await victim.open(other.name);
      await room.goesOn(victim, other, waiting);
    },
  );

  row(
    "T69: a greeting under another server's name is answered by no signature",
    async ({ room, victim, other }) => {
      const account = room.idOf(victim);
      const another = ServerId.parse(toBase64url(crypto.getRandomValues(new Uint8Array(32))));
      room.tamper.greetWith((hello) => ({ ...hello, server: another }));
      room.tamper.hangUp(account);
      await stopsUntilHonest({ room, victim, other, words: /another server answers at this address/i }, () =>
        assert.deepEqual(room.tamper.sessionsOf(account), []),
      );
    },
  );

  it("T55: keys exchanged at first contact don't fit the invite's checkpoint: a newcomer stops at once", async () => {
    const room = theRoom();
    const { alice, bob } = room;
    await room.settle();
    const directory = await room.tamper.directory();
    const theirs = directory.accounts.get(room.idOf(bob));
    assert.ok(theirs);
    const [founded] = room.tamper.log.entries.filter(({ inbox }, at) => at > 0 && inbox !== null);
    assert.ok(founded);
    const forged = await forgeGenesis(directory, "Bob", room.idOf(alice));
    room.tamper.newcomersSee((entries) => exchanged(entries, founded.statement, forged.genesis));
    const home = join(room.folder, "Gina");
    await command(home, "join", await alice.invite(), "--name", "Gina");
    const { code, words } = await tryCommand(home, "send", "Bob", "first contact");
    assert.equal(code, 6, words);
    assert.match(words, /shows whoever invited us another directory than us/);
    // For good: it is a proof.
    await room.tamper.confess();
    assert.equal((await tryCommand(home, "people")).code, 6);
  });

  it("T56: who is not in the directory under their own name is told that somebody else may stand there", async () => {
    const room = theRoom();
    const { alice } = room;
    await room.settle();
    const directory = await room.tamper.directory();
    const forged = await forgeGenesis(directory, "Hanna", room.idOf(alice));
    room.tamper.newcomersSee((entries) => [
      ...entries.slice(0, -1),
      { statement: forged.genesis, inbox: null },
    ]);
    const home = join(room.folder, "Hanna");
    await command(home, "join", await alice.invite(), "--name", "Hanna");
    const { code, words } = await tryCommand(home, "people");
    assert.equal(code, 6, words);
    assert.match(words, /does not have your account: somebody else may stand there as Hanna/);
  });

  row(
    "T53: a statement kept back is found by talking, and asked for until it is shown",
    async ({ room, victim, other }) => {
      const account = room.idOf(victim);
      const size = room.tamper.log.entries.length;
      await room.tamper.directoryFor(account, (entries) => entries.slice(0, size));
      await using wire = await room.carol.connect();
      const name = victim === room.alice ? "Dave" : "Dora";
      await joinByInvite(room.wire, name, await inviteRaw(wire, room.carol.account));
      await eventually(`${name} is there`, async () => (await other.trust(name)) !== "");
      await other.open(victim.name);
      const text = room.say("tells");
      await other.write(text);
      await victim.alarm(
        new RegExp(`${other.name} was shown ${size + 1} statements, the server shows us fewer`),
      );
      // The letter that told it is taken back too; it was heard.
      const bringBack = await room.tamper.rewind(account, 1);
      await victim.restart();
      await victim.alarm(/somebody who wrote to us was shown \d+ statements, the server shows us fewer/i);
      bringBack();
      await room.tamper.confess();
      await victim.restart();
      await victim.calm();
      await reads(() => victim.trust(name), new RegExp(name));
      await victim.open(other.name);
      await shows(victim, [text]);
      await room.goesOn(victim, other, text);
    },
  );

  it("T54: an account put in the joiner's place lacks the invite's proof: the inviter is told, and nothing is sent to it", async () => {
    const room = theRoom();
    const { alice, bob } = room;
    await room.settle();
    room.tamper.forgeJoins();
    const home = join(room.folder, "Erin");
    await command(home, "join", await alice.invite(), "--name", "Erin");
    await alice.alarm(/Erin claims to have joined by an invite of yours, but the proof is wrong/);
    await reads(() => alice.trust("Erin"), /Not proven by your invite/);
    await alice.open("Erin");
    let left = 0;
    room.tamper.swallow(room.idOf(alice), () => ++left < 0);
    const text = room.say("secret");
    await alice.write(text);
    await eventually("held", async () => (await alice.progress(text)) === "held");
    await reads(() => alice.screen(), /This may not be Erin/);
    assert.deepEqual(await findingsOfAll(alice.page), []);
    // Erin is made to believe that all is well; what she writes reaches nobody under the name that was taken.
    const hers = room.say("hers");
    await command(home, "send", "Alice", hers);
    await alice.alarm(/said to be from Erin was refused/);
    await alice.restart();
    await alice.open("Erin");
    await eventually("still held", async () => (await alice.progress(text)) === "held");
    assert.doesNotMatch(await alice.screen(), new RegExp(hers));
    assert.equal(left, 0);

    // The same before a terminal.
    await bob.leaveScreen();
    const { secret, inviter } = decodeInviteLink(await command(bob.home, "invite"));
    await joinByInvite(room.wire, "Frank", { secret, inviter });
    await bob.startAgain();
    await bob.alarm(/Frank claims to have joined by an invite of yours, but the proof is wrong/);
    await reads(() => bob.trust("Frank"), /not proven/);
    await bob.open("Frank");
    const words = room.say("secret");
    await bob.write(words);
    await eventually("held", async () => (await bob.progress(words)) === "held");
    await reads(() => bob.screen(), /Frank came by an invite of yours without its proof/);
    await bob.leaveScreen();
    assert.equal((await tryCommand(bob.home, "send", "Frank", "by command")).code, 6);
    await bob.startAgain();
  });

  it("T57: keys of a known person changed without their recovery code: both are told, and nothing is sent", async () => {
    const room = theRoom();
    const { alice, bob } = room;
    await room.settle();
    let left = 0;
    for (const seat of [alice, bob])
      room.tamper.swallow(room.idOf(seat), (letter) => letter.stream === room.carol.inbox && ++left < 0);
    const directory = await room.tamper.directory();
    const { signing, encryption } = bodyOf(
      (await forgeGenesis(directory, "Carol", room.idOf(alice))).genesis,
    );
    await room.tamper.append(
      await forgeStatement(
        { directory, account: room.carol.account, key: room.carol.created.keys.signing },
        "rotate",
        {
          signing,
          encryption,
        },
      ),
    );
    for (const seat of [alice, bob]) {
      await seat.alarm(/The keys of Carol have changed, without their recovery code/);
      await reads(() => seat.trust("Carol"), /keys? changed/i);
      await seat.open("Carol");
      const text = room.say("private");
      await seat.write(text);
      await eventually("held", async () => (await seat.progress(text)) === "held");
      await seat.restart();
      await seat.open("Carol");
      await eventually("still held", async () => (await seat.progress(text)) === "held");
      await reads(() => seat.screen(), /the keys of Carol have changed; compare the safety number/);
    }
    assert.equal(left, 0);
    await alice.page.getByTestId("accept-keys").click();
    await eventually("sent", () => left === 1);
  });

  it("T58: a statement about oneself that one did not make is a loud notice, and letters go on", async () => {
    const room = theRoom();
    const { alice, bob } = room;
    await room.settle();
    // The file of Bob's keys was stolen.
    const stolen = decodeCbor(await readFile(join(bob.home, "keys"))) as Parameters<
      typeof importAccountKeys
    >[0];
    const directory = await room.tamper.directory();
    const { device } = bodyOf((await forgeGenesis(directory, "Bob", room.idOf(alice))).genesis);
    const { signing } = await importAccountKeys(stolen);
    await room.tamper.append(
      await forgeStatement({ directory, account: room.idOf(bob), key: signing }, "device-add", device),
    );
    await bob.alarm(
      /statement about your own account that this device did not make is in the directory: device-add/,
    );
    await room.goesOn(alice, bob);
    await room.goesOn(bob, alice);
  });

  it("T59: two histories for two people: both stop at the other's next letter, and it stays so", async () => {
    const room = theRoom();
    const { alice, bob } = room;
    await room.settle();
    const directory = await room.tamper.directory();
    await using wire = await room.carol.connect();
    const invite = await inviteRaw(wire, room.carol.account);
    const forged = await forgeGenesis(directory, "Ivan", room.carol.account);
    const size = room.tamper.log.entries.length;
    await room.tamper.directoryFor(room.idOf(alice), (entries) =>
      entries.map((entry, at) => (at === size ? { ...entry, statement: forged.genesis } : entry)),
    );
    await joinByInvite(room.wire, "Ivan", invite);
    for (const seat of [alice, bob]) {
      await eventually("Ivan is there", async () => (await seat.trust("Ivan")) !== "");
      await seat.open(seat === alice ? "Bob" : "Alice");
    }
    // They write to each other before either has read.
    const held: (() => Promise<void>)[] = [];
    for (const [seat, other] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      await room.lettersFor(seat, other, (each) => {
        held.push(() => room.tamper.deliver(room.idOf(seat), each));
        return [];
      });
    }
    const [hers, his] = [room.say("hers"), room.say("his")];
    await alice.write(hers);
    await bob.write(his);
    await eventually("both wrote", () => held.length === 2);
    for (const release of held) await release();
    await alice.alarm(/the server shows Bob another directory than us[\s\S]*One of you is being lied to/i);
    await bob.alarm(/the server shows Alice another directory than us[\s\S]*One of you is being lied to/i);
    assert.deepEqual(await findingsOfAll(alice.page), []);
    // The letter that told Bob is taken back, and he is shown what is true: it is remembered.
    await room.tamper.rewind(room.idOf(bob), 2);
    await room.tamper.confess();
    for (const seat of [alice, bob]) {
      await seat.restart();
      await seat.alarm(
        /stopped(:| talking to this server\.) the server shows \w+ another directory than us/i,
      );
      const other = seat === alice ? "Bob" : "Alice";
      await seat.open(other);
      await eventually("what was read stays readable", async () => (await seat.letters()).length > 0);
      const text = room.say("never");
      await seat.write(text);
      await eventually("it waits", async () => (await seat.progress(text)) === "waiting");
      assert.doesNotMatch(await seat.screen(), new RegExp(seat === alice ? his : hers));
    }
    await bob.leaveScreen();
    assert.equal((await tryCommand(bob.home, "send", "Alice", "by command")).code, 6);
  });

  it("T40: no page had an error, and nothing went wrong that no lie explains", () => theRoom().check());
});
