import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeEvent, limits, type MessageId, type Row } from "@snug/protocol";
import { eventually } from "./browser.ts";
import { bothWays, DishonestRoom } from "./dishonestRoom.ts";
import { bent, deviceOf, forgeLetter, sealAnew } from "./forgeries.ts";
import { shows } from "./seats.ts";
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
    await eventually("it is there", copies);
    assert.equal(await copies(), 1);
    assert.equal(await victim.alarms(), "");
    assert.match(await victim.repeated(), /\b2 letters/);
  });

  row(
    "T42: letters in another order stand in their own; what is missing is marked as long as it is",
    async ({ room, victim, other }) => {
      const [first, second, third, fourth] = ["first", "second", "third", "fourth"].map((word) =>
        room.say(word),
      ) as [string, string, string, string];
      const held: Row[] = [];
      await room.tamper.rowsFor(room.idOf(victim), (each) => {
        if (held.length === 0) return held.push(each) ? [] : [];
        return [each, ...held.splice(0)];
      });
      await other.write(first);
      await other.write(second);
      await shows(victim, [first, second]);
      const late: Row[] = [];
      await room.tamper.rowsFor(room.idOf(victim), (each) =>
        late.length === 0 && late.push(each) ? [] : [each],
      );
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
      await room.tamper.rowsFor(room.idOf(victim), (each) => {
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
      await room.tamper.rowsFor(room.idOf(victim), (each) => [
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
      await room.tamper.rowsFor(room.idOf(victim), (each) => [
        { ...each, account: room.idOf(victim), device: deviceOf(directory, room.idOf(victim)) },
      ]);
      await other.write(theirs);
      await victim.alarm(
        new RegExp(`said to be from ${victim.name} was refused: a letter signed by another key`),
      );
      assert.equal((await victim.letters()).filter((letter) => letter === mine).length, 1);
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
      await room.tamper.rowsFor(room.idOf(victim), (each) =>
        each.account === room.idOf(other) ? [lie(each)] : [each],
      );
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

  it("T40: no page had an error, and nothing went wrong that no lie explains", () => theRoom().check());
});
