import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientState, Letter, Person } from "@snug/client";
import { AccountId, DeviceId, MessageId, randomId, ServerId, TitleId, toBase64url } from "@snug/protocol";
import { renderToString } from "ink";
import { textOf } from "../src/terminal/field.ts";
import type { Key } from "../src/terminal/keys.ts";
import { press } from "../src/terminal/press.ts";
import { firstScreen, hear, type Screen } from "../src/terminal/screen.ts";
import { createPaint } from "../src/terminal/view/paint.ts";
import { screenView } from "../src/terminal/view/screen.ts";

const id256 = (fill: number): string => toBase64url(new Uint8Array(32).fill(fill));
const anna = AccountId.parse(id256(1));
const bela = AccountId.parse(id256(2));
const title = randomId(TitleId);

type Joined = Extract<ClientState, { phase: "joined" }>;

function person(account: AccountId, name: string, change: Partial<Person> = {}): Person {
  return {
    account,
    name,
    online: true,
    role: "member",
    trust: { how: "unverified" },
    removed: false,
    removedBy: null,
    blocked: false,
    notice: null,
    newer: false,
    ...change,
  };
}

const joined: Joined = {
  phase: "joined",
  me: { account: anna, device: randomId(DeviceId), name: "anna", role: "admin" },
  server: {
    id: ServerId.parse(id256(9)),
    name: "home",
    origin: "https://home.example:10000",
    authority: null,
  },
  connection: { is: "online" },
  people: [person(anna, "anna", { trust: { how: "verified", by: "self" } }), person(bela, "bela")],
  threads: [{ account: bela, last: null, unread: 2 }],
  library: {
    revision: 1,
    titles: [
      {
        id: title,
        name: "Test card",
        state: "playable",
        reason: null,
        version: "v",
        durationMicroseconds: 24_000_000,
        size: 1,
        renditions: [{ id: "v0", kind: "video", codec: "avc1", bandwidth: 1, height: 240 }],
        still: false,
        notes: [],
      },
    ],
  },
  notices: [],
  repeated: 0,
};

function letter(
  order: number,
  text: string,
  state: Letter["state"] = { is: "received", gapBefore: false },
): Letter {
  const from = state.is === "received" ? bela : anna;
  return { id: randomId(MessageId), thread: bela, from, text, time: 0, order, senderEnd: null, state };
}

function type(
  screen: Screen,
  keys: readonly (Key | Exclude<Key, { is: "text" }>["is"])[],
  state: ClientState = joined,
) {
  let step: ReturnType<typeof press> = { screen };
  for (const key of keys) step = press(step.screen, typeof key === "string" ? { is: key } : key, state);
  return step;
}

const text = (value: string): Key => ({ is: "text", text: value });

function draw(screen: Screen, state: ClientState = joined): string {
  const view = screenView({
    shown: { screen, state },
    size: { columns: 100, rows: 20 },
    paint: createPaint({ color: false }),
  });
  return renderToString(view, { columns: 100 });
}

test("whoever has not joined is asked for a link, then for a name", () => {
  const start = firstScreen({ phase: "new" });
  assert.match(draw(start, { phase: "new" }), /not joined a server yet[\s\S]*Link:/);
  const asked = type(start, [text("https://x/join#a\n  bc"), "enter"], { phase: "new" });
  assert.deepEqual(asked.act, { do: "look", link: "https://x/join#abc" });
  const look = { serverName: "home", inviterName: "bela", once: true };
  const named = hear(asked.screen, { is: "looked", link: "https://x/join#abc", look });
  assert.match(draw(named, { phase: "new" }), /home, by bela/);
  const joining = type(named, [text("anna"), "enter"], { phase: "new" });
  assert.deepEqual(joining.act, { do: "join", link: "https://x/join#abc", name: "anna" });
  // A second Enter while the keys are being made must not join twice.
  assert.equal(type(joining.screen, ["enter"]).act, undefined);
  const code = hear(joining.screen, { is: "joined", code: "ABCD-EFGH" });
  assert.match(draw(code), /recovery code[\s\S]*ABCD-EFGH/);
  assert.equal(type(code, ["enter"]).screen.at, "menu");
});

test("a link that is refused comes back with the reason, still editable", () => {
  const busy = type(firstScreen({ phase: "new" }), [text("x"), "enter"], { phase: "new" }).screen;
  const refused = hear(busy, { is: "failed", why: "this link was used" });
  assert.match(draw(refused, { phase: "new" }), /! this link was used/);
  const edited = type(refused, [text("y")]).screen;
  assert.equal(edited.at === "link" && textOf(edited.field), "xy");
});

test("the menu has the original's three entries, and q leaves", () => {
  const menu = firstScreen(joined);
  assert.match(draw(menu), /› {2}People +1 of 1 online, 2 unread letters\n +Videos +1 title\n +Quit/);
  assert.equal(type(menu, ["enter"]).screen.at, "people");
  assert.equal(type(menu, ["down", "enter"]).screen.at, "videos");
  assert.deepEqual(type(menu, ["down", "down", "down", "enter"]).act, { do: "quit" });
  assert.deepEqual(type(menu, [text("q")]).act, { do: "quit" });
});

test("people show presence and trust in words, not by colour alone", () => {
  const state: Joined = {
    ...joined,
    people: [
      ...joined.people,
      person(AccountId.parse(id256(3)), "cleo", { online: false, trust: { how: "key-changed", when: 1 } }),
      person(AccountId.parse(id256(4)), "dora", { trust: { how: "verified", by: "invite" } }),
      person(AccountId.parse(id256(5)), "gone", { removed: true }),
    ],
  };
  const drawn = draw({ at: "people", chosen: bela }, state);
  assert.match(drawn, /› {2}bela +● online +unverified +2 unread/);
  assert.match(drawn, /cleo +○ offline +key changed/);
  assert.match(drawn, /dora +● online +verified/);
  assert.doesNotMatch(drawn, /gone/);
});

test("C47: whoever is chosen stays so when others come and go; nobody is instead of somebody who has left", () => {
  const list: Screen = { at: "people", chosen: bela };
  const more = { ...joined, people: [...joined.people, person(AccountId.parse(id256(3)), "alfa")] };
  assert.match(draw(list, more), /alfa[\s\S]*anna[\s\S]*› {2}bela/);
  const opened = type(list, ["enter"], more);
  assert.deepEqual(opened.act, { do: "load", account: bela, more: false });
  assert.deepEqual(type(opened.screen, ["escape"], more).screen, list);
  const fewer = { ...joined, people: joined.people.filter(({ account }) => account !== bela) };
  assert.doesNotMatch(draw(list, fewer), /›/);
  assert.deepEqual(type(list, ["enter"], fewer), { screen: list });
  assert.deepEqual(type(list, ["down"], fewer).screen, { at: "people", chosen: anna });
  const videos: Screen = { at: "videos", chosen: randomId(TitleId), playing: null, problem: null };
  assert.deepEqual(type(videos, ["enter"]), { screen: videos });
});

test("a thread sends on Enter, empties the composer, and gives the text back when it can't be sent", () => {
  const opened = type({ at: "people", chosen: bela }, ["enter"]);
  assert.deepEqual(opened.act, { do: "load", account: bela, more: false });
  const sent = type(opened.screen, [text("hello"), text("\n"), text("there"), "enter"]);
  assert.deepEqual(sent.act, { do: "send", account: bela, text: "hello\nthere" });
  assert.equal(sent.screen.at === "thread" && textOf(sent.screen.draft), "");
  assert.equal(type(sent.screen, ["enter"]).act, undefined);
  const back = hear(sent.screen, { is: "unsent", account: bela, text: "hello\nthere", why: "too long" });
  assert.equal(back.at === "thread" && textOf(back.draft), "hello\nthere");
  assert.match(draw(back), /! too long/);
});

test("C40: letters say in words how far they got, and what is doubtful about them, and can't paint the screen", () => {
  const letters = [
    letter(1, "\u001b[31mred\u001b[2J"),
    letter(2, "mine", { is: "delivered" }),
    letter(3, "stuck", { is: "held", why: "the keys of bela changed" }),
    letter(4, "after a gap", { is: "received", gapBefore: true }),
    { ...letter(5, "from a lost phone"), senderEnd: "device" as const },
  ];
  const opened = type({ at: "people", chosen: bela }, ["enter"]).screen;
  const drawn = draw(hear(opened, { is: "letters", account: bela, letters }));
  assert.match(drawn, /bela +␛\[31mred␛\[2J/);
  assert.match(drawn, /you ✓✓ delivered +mine/);
  assert.match(drawn, /you held +stuck\n.*! the keys of bela changed/);
  assert.match(drawn, /has not arrived —\n.*after a gap/);
  assert.match(drawn, /from a lost phone\s+— Written on a device that was ended since/);
  assert.doesNotMatch(drawn, /\u001b\[(31m|2J)/);
});

test("whoever has scrolled up keeps their place when a letter comes", () => {
  const letters = [letter(1, "one"), letter(2, "two"), letter(3, "three")];
  const opened = hear(type({ at: "people", chosen: bela }, ["enter"]).screen, {
    is: "letters",
    account: bela,
    letters,
  });
  const up = type(opened, ["up"]).screen;
  const later = hear(up, { is: "letters", account: bela, letters: [...letters, letter(4, "four")] });
  assert.equal(later.at === "thread" && later.below, 2);
  const drawn = draw(later);
  assert.match(drawn, /two[\s\S]*2 newer below/);
  assert.doesNotMatch(drawn, /three|four/);
});

test("more letters than fit: the newest are the ones in sight", () => {
  const letters = Array.from({ length: 60 }, (_, at) => letter(at + 1, `letter ${at + 1}.`));
  const opened = type({ at: "people", chosen: bela }, ["enter"]).screen;
  const drawn = draw(hear(opened, { is: "letters", account: bela, letters }));
  assert.match(drawn, /letter 60\./);
  assert.doesNotMatch(drawn, /letter 1\./);
  assert.equal(drawn.split("\n").length, 20);
});

test("changed keys are loud, and going on with them unverified is a choice of its own", () => {
  const state: Joined = {
    ...joined,
    people: [person(bela, "bela", { trust: { how: "key-changed", when: 1 } })],
  };
  const opened = type({ at: "people", chosen: bela }, [text("v")], state);
  assert.deepEqual(opened.act, { do: "number", account: bela });
  const number = Array.from({ length: 12 }, (_, at) => String(10_000 + at)).join(" ");
  const shown = hear(opened.screen, { is: "number", account: bela, number });
  assert.match(draw(shown, state), /keys of bela changed[\s\S]*10000 {3}10001 {3}10002\n/);
  assert.deepEqual(type(shown, [text("y")], state).act, { do: "verify", account: bela });
  assert.deepEqual(type(shown, [text("a")], state).act, { do: "acceptKeys", account: bela });
  assert.equal(type(shown, [text("a")], joined).act, undefined);
});

test("videos show length and state; Enter plays, and without mpv the URL stands there", () => {
  const list: Screen = { at: "videos", chosen: title, playing: null, problem: null };
  assert.match(draw(list), /› {2}Test card +0:24 +240p/);
  const step = type(list, ["enter"]);
  assert.deepEqual(step.act, { do: "play", title, name: "Test card" });
  const playing = { name: "Test card", url: "https://home/m/x", authority: null, mpv: false };
  assert.match(
    draw(hear(step.screen, { is: "playing", playing })),
    /Open with any HLS player[\s\S]*https:\/\/home\/m\/x/,
  );
});

test("news for a screen that is gone changes nothing", () => {
  const menu = firstScreen(joined);
  assert.equal(hear(menu, { is: "letters", account: bela, letters: [] }), menu);
  assert.equal(hear(menu, { is: "failed", why: "late" }), menu);
});

test("a lost connection is said in words at the top", () => {
  const offline: Joined = {
    ...joined,
    connection: { is: "offline", why: "the server does not answer", byDisk: false, retryAt: 0 },
  };
  assert.match(
    draw(firstScreen(joined), offline),
    /Snug · home · anna +offline \(the server does not answer\), trying again/,
  );
});
