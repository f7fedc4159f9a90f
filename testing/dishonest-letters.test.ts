import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import {
  type AccountId,
  encodeEvent,
  limits,
  type MessageId,
  MessageId as MessageIds,
  type Row,
  randomId,
  type TitleDetail,
} from "@snug/protocol";
import { eventually } from "./browser.ts";
import { bothWays, DishonestRoom } from "./dishonestRoom.ts";
import { bent, deviceOf, forgeLetter, sealAnew } from "./forgeries.ts";
import { shows, tryCommand } from "./seats.ts";
import { addDevice, statementOf } from "./statements.ts";

describe("a dishonest server: letters", () => {
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

  row("T41: a letter delivered again is left out and counted", async ({ room, victim, other }) => {
    const text = room.say("once");
    await other.write(text);
    await shows(victim, [text]);
    const again = await room.newestRow(victim);
    await room.tamper.deliver(room.idOf(victim), again);
    await room.tamper.deliver(room.idOf(victim), again);
    await room.goesOn(victim, other, text);
    await victim.restart();
    await victim.open(other.name);
    const copies = async () => (await victim.letters()).filter((letter) => letter === text).length;
    await eventually("it is there once", async () => (await copies()) === 1);
    assert.equal(await victim.alarms(), "");
    await eventually("both are counted", async () => /\b2 letters/.test(await victim.repeated()));
  });

  row(
    "T42: letters in another order stand in their own; what is missing is marked as long as it is",
    async ({ room, victim, other }) => {
      const [first, second, third, fourth] = ["first", "second", "third", "fourth"].map((word) =>
        room.say(word),
      ) as [string, string, string, string];
      const held: Row[] = [];
      await room.lettersFor(victim, other, (each) => {
        if (held.length === 0) return held.push(each) ? [] : [];
        return [each, ...held.splice(0)];
      });
      await other.write(first);
      await other.write(second);
      await shows(victim, [first, second]);
      const late: Row[] = [];
      await room.lettersFor(victim, other, (each) => (late.length === 0 && late.push(each) ? [] : [each]));
      await other.write(third);
      await other.write(fourth);
      await shows(victim, [first, second, "…", fourth]);
      const [kept] = late;
      assert.ok(kept);
      await room.tamper.deliver(room.idOf(victim), kept);
      await shows(victim, [first, second, third, fourth]);
      await victim.restart();
      await victim.open(other.name);
      await shows(victim, [first, second, third, fourth]);
      assert.equal(await victim.alarms(), "");
    },
  );

  row(
    "T43: a letter thrown away is missed when its writer's next one comes, not before, whatever the server says",
    async ({ room, victim, other }) => {
      const [one, two, three] = ["one", "two", "three"].map((word) => room.say(word)) as [
        string,
        string,
        string,
      ];
      await other.write(one);
      await shows(victim, [one]);
      let dropped: MessageId | null = null;
      await room.lettersFor(victim, other, (each) => {
        dropped = each.id;
        return [];
      });
      await other.write(two);
      const id = await eventually("it was thrown away", () => dropped);
      await room.tamper.tell(room.idOf(other), "delivered", { ids: [id] });
      await eventually("said to be delivered", async () => (await other.progress(two)) === "delivered");
      await shows(victim, [one]);
      assert.equal(await victim.alarms(), "");
      await room.tamper.confess();
      await other.write(three);
      await shows(victim, [one, "…", three]);
      await victim.restart();
      await victim.open(other.name);
      await shows(victim, [one, "…", three]);
      assert.doesNotMatch(await victim.screen(), new RegExp(two));
    },
  );

  row(
    "T44: a letter under another's name, or in a name without its key, is refused in words and not shown",
    async ({ room, victim, other }) => {
      const directory = await room.tamper.directory();
      const text = room.say("lent");
      await room.lettersFor(victim, other, (each) => [
        { ...each, account: room.carol.account, device: room.carol.created.device },
      ]);
      await other.write(text);
      await victim.alarm(
        /A letter that is said to be from Carol was refused: a letter signed by another key/,
      );
      await victim.calm();
      await room.tamper.confess();
      const forged = room.say("forged");
      await room.tamper.deliver(
        room.idOf(victim),
        await forgeLetter({
          ...{ directory, like: await room.newestRow(victim), to: room.idOf(victim), text: forged },
          ...{ from: room.idOf(other), device: deviceOf(directory, room.idOf(other)), key: room.own.device },
        }),
      );
      const words = new RegExp(
        `said to be from ${other.name} was refused: a letter whose signature is wrong`,
      );
      await victim.alarm(words);
      await victim.restart();
      await victim.alarm(words);
      await victim.calm();
      await victim.open("Carol");
      assert.doesNotMatch(await victim.screen(), new RegExp(`${text}|${forged}`));
      await victim.open(other.name);
      assert.doesNotMatch(await victim.screen(), new RegExp(`${text}|${forged}`));
      // The one that was put under Carol's name is missing under its writer's room.own.
      await room.goesOn(victim, other, "…");
    },
  );

  row("T45: a device that no statement added is nobody's", async ({ room, victim, other }) => {
    const directory = await room.tamper.directory();
    const text = room.say("ghost");
    await room.tamper.deliver(
      room.idOf(victim),
      await forgeLetter({
        ...{ directory, like: await room.newestRow(victim), to: room.idOf(victim), text },
        ...{ from: room.idOf(other), device: null, key: room.own.device },
      }),
    );
    await victim.alarm(/refused: a letter by a device that the directory doesn't have/);
    assert.doesNotMatch(await victim.screen(), new RegExp(text));
    await room.goesOn(victim, other);
  });

  row(
    "T62: with the keys of an ended device it puts letters into one reading, marked as doubtful, and none later",
    async ({ room, victim, other }) => {
      const { carol, tamper } = room;
      const to = room.idOf(victim);
      const lost = await addDevice(room.wire, carol);
      const directory = await tamper.directory();
      const forge = async (text: string): Promise<Row> =>
        forgeLetter({
          ...{ directory, like: await room.newestRow(victim), to, text },
          ...{ from: carol.account, device: lost.device, key: lost.keys.device },
        });
      const [doubtful, late] = [room.say("doubtful"), room.say("late")];
      await using wire = await carol.connect();
      const { device } = lost;
      const statement = await statementOf({ server: room.wire, wire, person: carol }, "device-revoke", {
        device,
      });
      await victim.restart(async () => {
        // Whoever still listens would hear of the end before the letter.
        await eventually("gone", () => tamper.sessionsOf(to).length === 0);
        await wire.request("statement-append", { statement });
        await tamper.deliver(to, await forge(doubtful));
      });
      await victim.open("Carol");
      const words = async () => (await victim.screen()).replace(/\s+/g, " ");
      await eventually("the marked letter", async () =>
        new RegExp(`${doubtful}.*Written on a device that was ended since`).test(await words()),
      );
      assert.equal(await victim.alarms(), "");
      await tamper.deliver(to, await forge(late));
      await victim.alarm(/refused: a letter by a device that was ended before it was sent/);
      assert.doesNotMatch(await victim.screen(), new RegExp(late));
      await victim.open(other.name);
      await room.goesOn(victim, other);
    },
  );

  row(
    "T46: a letter to somebody else can't be handed on, neither as it is nor by its reader",
    async ({ room, victim, other }) => {
      const text = room.say("for-carol");
      let sealed: Uint8Array | null = null;
      room.tamper.swallow(room.idOf(other), (letter) => {
        if (letter.stream === room.carol.inbox) sealed = letter.sealed;
        return false;
      });
      await other.open("Carol");
      await other.write(text);
      const toCarol = await eventually("the letter to Carol", () => sealed);
      await room.tamper.confess();
      await other.open(victim.name);
      await room.goesOn(victim, other);
      const like = { ...(await room.newestRow(victim)), id: "A".repeat(22) as MessageId };
      await room.tamper.deliver(room.idOf(victim), { ...like, sealed: new Uint8Array(toCarol) });
      await victim.alarm(/refused: a letter sealed to a key that this device doesn't hold/);
      await victim.calm();
      await victim.open(other.name);
      const [to] = (await room.tamper.directory()).accounts.get(room.idOf(victim))?.encryption ?? [];
      const [key] = room.carol.created.keys.encryption;
      assert.ok(to && key);
      const handedOn = await sealAnew({ sealed: toCarol, key: key.key, to });
      await room.tamper.deliver(room.idOf(victim), { ...like, sealed: handedOn });
      await victim.alarm(/refused: a letter written to somebody else/);
      assert.doesNotMatch(await victim.screen(), new RegExp(text));
      const otherKind = await sealAnew({ sealed: toCarol, key: key.key, to, typ: "snug-file" });
      await victim.calm();
      await room.tamper.deliver(room.idOf(victim), { ...like, sealed: otherKind });
      await victim.alarm(/refused: the seal's header has "snug-file" as typ, not snug-letter/);
      await victim.open(other.name);
      await room.goesOn(victim, other);
    },
  );

  row(
    "T47: a copy to oneself is no letter of another, and another's letter is no copy",
    async ({ room, victim, other }) => {
      const directory = await room.tamper.directory();
      const [mine, theirs] = [room.say("mine"), room.say("theirs")];
      await victim.write(mine);
      await shows(other, [mine]);
      const copy = await eventually("the copy", async () => {
        const newest = await room.newestRow(victim);
        return newest.account === room.idOf(victim) ? newest : null;
      });
      const from = { account: room.idOf(other), device: deviceOf(directory, room.idOf(other)) };
      await room.tamper.deliver(room.idOf(victim), { ...copy, ...from });
      await victim.alarm(
        new RegExp(`said to be from ${other.name} was refused: a letter signed by another key`),
      );
      await victim.calm();
      await victim.open(other.name);
      await room.lettersFor(victim, other, (each) => [
        { ...each, account: room.idOf(victim), device: deviceOf(directory, room.idOf(victim)) },
      ]);
      await other.write(theirs);
      await victim.alarm(
        new RegExp(`said to be from ${victim.name} was refused: a letter signed by another key`),
      );
      const copies = async () => (await victim.letters()).filter((letter) => letter === mine).length;
      await eventually("it is there once", async () => (await copies()) === 1);
      assert.doesNotMatch(await victim.screen(), new RegExp(theirs));
      await room.goesOn(victim, other, mine, "…");
    },
  );

  row("T48: changed bytes, another id and another count are refused", async ({ room, victim, other }) => {
    const lies: readonly [(each: Row) => Row, RegExp][] = [
      [
        (each) => ({ ...each, sealed: bent(each.sealed) }),
        /refused: a letter that doesn't open: its bytes were changed/,
      ],
      [
        (each) => ({ ...each, id: "B".repeat(21).concat("A") as MessageId }),
        /refused: a letter with another id than its row says/,
      ],
      [
        (each) => ({ ...each, counter: each.counter + 7 }),
        /refused: a letter with another counter than its row says/,
      ],
    ];
    const texts: string[] = [];
    for (const [lie, words] of lies) {
      await room.lettersFor(victim, other, (each) => [lie(each)]);
      const text = room.say("bent");
      texts.push(text);
      await other.write(text);
      await victim.alarm(words);
      await victim.calm();
      await victim.open(other.name);
    }
    assert.doesNotMatch(await victim.screen(), new RegExp(texts.join("|")));
    await room.goesOn(victim, other, "…");
  });

  row(
    "T49: frames and pages above their bounds end the connection, and the next one goes on",
    async ({ room, victim, other }) => {
      const account = room.idOf(victim);
      const like = await room.newestRow(victim);
      const entry = room.tamper.log.entries[0];
      assert.ok(entry);
      for (const frame of [
        new Uint8Array(limits.frame + 1),
        encodeEvent("rows", {
          stream: like.stream,
          rows: Array.from({ length: limits.rowBatch + 1 }, () => like),
        }),
        encodeEvent("directory", {
          from: 0,
          entries: Array.from({ length: limits.directoryPage + 1 }, () => ({
            ...entry,
            statement: new Uint8Array(9),
          })),
          checkpoint: "",
        }),
      ]) {
        const before = room.tamper.sessionsOf(account);
        await room.tamper.send(account, frame);
        await room.tamper.cameBack(account, before);
      }
      await room.goesOn(victim, other);
      assert.equal(await victim.alarms(), "");
    },
  );

  row("T64: who is here is the server's word, and nothing hangs on it", async ({ room, victim, other }) => {
    const account = room.idOf(victim);
    const order = [...(await room.tamper.directory()).accounts.keys()];
    const say = (...here: AccountId[]) => {
      const first = here.reduce((bits, each) => bits | (1 << order.indexOf(each)), 0);
      // The second byte is of accounts that no directory has.
      return room.tamper.tell(account, "presence", {
        runs: [{ from: 0, bits: new Uint8Array([first, 0xff]) }],
      });
    };
    await say(account, room.carol.account);
    await eventually("away", async () => /away|○/.test(await victim.trust(other.name)));
    await eventually("here", async () => /here now|●/.test(await victim.trust("Carol")));
    await victim.open("Carol");
    const [toCarol, toOther] = [room.say("to-carol"), room.say("to-other")];
    await victim.write(toCarol);
    await victim.open(other.name);
    await victim.write(toOther);
    await shows(other, [toOther]);
    await eventually("it arrived", async () => (await victim.progress(toOther)) === "delivered");
    await victim.open("Carol");
    await shows(victim, [toCarol]);
    await eventually("it is kept", async () => (await victim.progress(toCarol)) === "kept");
    await victim.open(other.name);
    await room.goesOn(victim, other, toOther);
    assert.equal(await victim.alarms(), "");
    await say(account, room.idOf(other));
  });

  row(
    "T65: what the server does not call delivered stays kept, and what it never took is not delivered by its word",
    async ({ room, victim, other }) => {
      const account = room.idOf(victim);
      room.tamper.keepBack(account, "delivered");
      room.tamper.answersFor(account, (name, body) => (name === "delivery-read" ? { delivered: [] } : body));
      const text = room.say("kept");
      await victim.write(text);
      await shows(other, [text]);
      await room.tamper.tell(account, "delivered", { ids: [randomId(MessageIds)] });
      const answer = room.say("answer");
      await other.write(answer);
      await shows(victim, [text, answer]);
      room.tamper.hangUp(account);
      const back = room.say("back");
      await victim.write(back);
      await shows(other, [text, answer, back]);
      await eventually("it is kept", async () => (await victim.progress(text)) === "kept");
      await room.tamper.confess();
      room.tamper.hangUp(account);
      await eventually("it is said", async () => (await victim.progress(text)) === "delivered");
      await room.goesOn(victim, other, text, answer, back);
      assert.equal(await victim.alarms(), "");
    },
  );

  it("T67: answers about films that lead elsewhere are not taken, and nobody else is asked", async () => {
    const room = theRoom();
    const { alice, bob } = room;
    await room.settle();
    await using elsewhere = await listenElsewhere();
    const away = elsewhere.origin;
    await alice.page.getByTestId("nav-watch").click();
    const lies: ((detail: TitleDetail) => object)[] = [
      () => ({ base: away }),
      ({ master }) => ({ master: master.replace(/^v0/m, `${away}v0`) }),
      ({ playlists }) => ({
        playlists: Object.fromEntries(
          Object.entries(playlists).map(([id, text]) => [id, text.replaceAll(/^0\.m4s$/gm, `${away}0.m4s`)]),
        ),
      }),
    ];
    for (const lie of lies) {
      room.tamper.libraryAnswers((path, answer) => {
        const detail = JSON.parse(answer) as TitleDetail;
        return JSON.stringify(path.includes("/titles/") ? { ...detail, ...lie(detail) } : detail);
      });
      await alice.page.getByTestId("title-Test card").click();
      await alice.page
        .getByRole("alert")
        .getByText(/not of its form/)
        .waitFor();
      await alice.page.goBack();
    }
    await room.tamper.confess();
    await alice.page.getByTestId("title-Test card").click();
    await alice.page.locator("video").waitFor();
    await alice.page.goBack();
    await alice.open("Bob");

    await bob.leaveScreen();
    room.tamper.answersFor(room.idOf(bob), (name, body) =>
      name === "grant-create" ? { ...(body as object), path: `//${new URL(away).host}/m/film.m3u8` } : body,
    );
    const { code, words } = await tryCommand(bob.home, "play", "Test card", "--print-url");
    assert.notEqual(code, 0, words);
    assert.doesNotMatch(words, /film\.m3u8/);
    await bob.startAgain();
    assert.equal(elsewhere.asked(), 0);
  });

  row("T68: an answer without an end is cut off, and letters go on", async ({ room, victim, other }) => {
    const before = room.tamper.cutOff;
    room.tamper.libraryAnswers(() => null);
    await room.tamper.tell(room.idOf(victim), "library", { revision: Date.now() });
    await eventually("it was cut off", () => room.tamper.cutOff > before);
    if (victim === room.alice) {
      const said = /videos could not be read: an answer larger than any that is right/;
      await eventually("it is said", async () => said.test(await victim.screen()));
    }
    await room.goesOn(victim, other);
  });

  it("T40: no page had an error, and nothing went wrong that no lie explains", () => theRoom().check());
});

/** Somebody else's server, which is to be asked for nothing. */
async function listenElsewhere(): Promise<AsyncDisposable & { readonly origin: string; asked(): number }> {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}/`,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
