import {
  type Client,
  type ClientState,
  type DeviceView,
  type Letter,
  type OpenInvite,
  type Person,
  StoreError,
} from "@snug/client";
import {
  AccountId,
  DeviceId,
  Hash,
  limits,
  MessageId,
  randomId,
  ServerId,
  SnugError,
  TitleId,
  toBase64url,
} from "@snug/protocol";
import { giantWord, hostileTexts } from "./hostileTexts.ts";

/** What the test server says about the room to play: `/fixture.json`. */
export interface Scenario {
  readonly room:
    | "new"
    | "empty"
    | "full"
    | "offline"
    /** This browser's disk takes nothing. */
    | "diskless"
    | "changed"
    | "stopped"
    | "loading"
    /** Every text of others is one of those in hostileTexts. */
    | "hostile"
    /** The same before joining. */
    | "doorstep"
    /** A state that no screen can draw. */
    | "broken";
}

type Joined = Extract<ClientState, { phase: "joined" }>;

const id = (text: string): string => toBase64url(new TextEncoder().encode(text.padEnd(32, "-")).slice(0, 32));
const account = (name: string): AccountId => AccountId.parse(id(name));
const me = account("Tomasz");
const minute = 60_000;

function person(name: string, more: Partial<Person> = {}): Person {
  return {
    account: account(name),
    name,
    online: false,
    role: "member",
    trust: { how: "unverified" },
    removed: false,
    removedBy: null,
    blocked: false,
    notice: null,
    newer: false,
    ...more,
  };
}

/** The one whose name and keys the tests of hostile texts look at. */
const stranger = "override";

function hostilePeople(): Person[] {
  return Object.entries(hostileTexts).map(([key, text], at) =>
    person(key, {
      name: text,
      online: at % 2 === 0,
      notice: at % 3 === 0 ? text : null,
      trust: key === stranger ? { how: "key-changed", when: Date.now() } : { how: "unverified" },
    }),
  );
}

function people(room: Scenario["room"]): Person[] {
  const self = person("Tomasz", { role: "admin", online: true, trust: { how: "verified", by: "self" } });
  if (room === "empty") return [self];
  if (room === "hostile") return [...hostilePeople(), self];
  const changed = room === "changed" ? ({ how: "key-changed", when: Date.now() } as const) : undefined;
  return [
    person("Lena", { online: true, trust: changed ?? { how: "verified", by: "invite" } }),
    person("Marek", { online: true, notice: "Renewed their keys with the recovery code." }),
    person("عبد الرحمن", { trust: { how: "verified", by: "safety-number" } }),
    person("backup-script"),
    self,
  ];
}

const lines: readonly (readonly [from: string, text: string])[] = [
  ["Lena", "I cut the lake day down to four minutes. Original is in there too, so take your time."],
  ["Tomasz", "Playing already, and it starts at once"],
  ["Tomasz", "the part with the goose at 1:47"],
  ["Lena", "Is that your hat in the water?\n\nI thought you had left it in the boat house."],
  ["Tomasz", "it was a good hat"],
  ["Lena", "مرحبا، هل نلتقي الليلة في نفس المكان؟"],
  ["Lena", "same place, 21:00?"],
];

function hostileLetters(): Letter[] {
  const texts = [...Object.values(hostileTexts), giantWord];
  const letter = (key: string, text: string, order: number): Letter => ({
    id: randomId(MessageId),
    thread: account(key),
    from: account(key),
    text,
    time: Date.now() - 60 * minute + order * 1000,
    order,
    senderEnd: null,
    state: { is: "received", gapBefore: order % 5 === 0 },
  });
  const many = texts.map((text, at) => letter(stranger, text, at + 1));
  const held: Letter = {
    ...letter(stranger, "held back", texts.length + 1),
    from: me,
    state: { is: "held", why: hostileTexts.override ?? "" },
  };
  const others = Object.entries(hostileTexts).filter(([key]) => key !== stranger);
  return [...many, held, ...others.map(([key, text], at) => letter(key, text, 100 + at))];
}

function letters(room: Scenario["room"]): Letter[] {
  if (room === "hostile") return hostileLetters();
  const start = Date.now() - 26 * 60 * minute;
  const many = Array.from({ length: 120 }, (_, n) => ["Lena", `Letter number ${n + 1}`] as const);
  return [...many, ...lines].map(([from, text], order) => {
    const own = from === "Tomasz";
    const held = room === "changed" && order === 124;
    return {
      id: randomId(MessageId),
      thread: account("Lena"),
      from: account(from),
      text,
      time: order < 120 ? start + order * minute : Date.now() - (140 - order) * minute,
      order: order + 1,
      senderEnd: room === "changed" && order === 125 ? "device" : null,
      state: own
        ? held
          ? { is: "held", why: "Lena’s keys changed" }
          : { is: order === 122 ? "delivered" : room === "offline" ? "queued" : "accepted" }
        : { is: "received", gapBefore: order === 123 },
    };
  });
}

function library(room: Scenario["room"]): Joined["library"] {
  if (room === "loading") return null;
  const title = (name: string, state: "playable" | "preparing" | "unplayable", reason: string | null) => ({
    id: TitleId.parse(`${id(name).slice(0, 21)}A`),
    name,
    state,
    reason,
    version: "v1",
    durationMicroseconds: 24_000_000,
    size: 3_900_000,
    still: false,
    notes: [],
    renditions: [240, 720, 1440].map((height, n) => ({
      id: `v${n}`,
      kind: "video" as const,
      codec: "avc1.64001f",
      bandwidth: 200_000,
      height,
      width: 426,
    })),
  });
  if (room === "empty") return { revision: 1, titles: [] };
  if (room === "hostile") {
    const titles = Object.entries(hostileTexts).map(([key, text], at) => ({
      ...title(text, at % 3 === 0 ? "unplayable" : "playable", at % 3 === 0 ? text : null),
      id: TitleId.parse(`${id(key).slice(0, 21)}A`),
      notes: [`${text}: a codec that is not cut yet`],
    }));
    return { revision: 1, titles };
  }
  return {
    revision: 1,
    titles: [
      title("Test card", "playable", null),
      title("Northbound", "preparing", null),
      title("Old tape", "unplayable", "Its picture is coded as HEVC, which is not cut yet."),
      title("A very long name of a film that nobody shortened before it was put here", "playable", null),
    ],
  };
}

/**
 * A room without a server: the door of the client, and behind it what the scenario says.
 *
 * @public The bundle of the tests imports it in place of `@snug/client/browser`.
 */
export async function openBrowserClient(): Promise<Client> {
  const scenario = (await (await fetch("/fixture.json")).json()) as Scenario;
  const { room } = scenario;
  const onState = new Set<() => void>();
  const onLetter = new Set<(letter: Letter) => void>();
  const endedDevices = new Set<DeviceId>();
  let written = room === "empty" ? [] : letters(room);
  const outside = room === "new" || room === "doorstep";
  let state: ClientState = outside ? { phase: "new" } : joined(room, written);
  const become = (next: ClientState): void => {
    state = next;
    for (const listener of onState) listener();
  };
  const update = (change: (now: Joined) => Partial<Joined>): void => {
    if (state.phase === "joined") become({ ...state, ...change(state) });
  };
  const trust = (of: AccountId, next: Person["trust"]): void =>
    update((now) => ({
      people: now.people.map((one) => (one.account === of ? { ...one, trust: next } : one)),
    }));
  const add = (letter: Letter): void => {
    written = [...written.filter((one) => one.id !== letter.id), letter];
    update(() => ({ threads: threadsOf(written, 0) }));
  };
  // The tests call it in the worker.
  Object.assign(globalThis, { arrive: (count: number) => arrive(count, () => written.length, add) });
  return {
    get state() {
      return state;
    },
    subscribe: (listener) => listen(onState, listener),
    onLetter: (listener) => listen(onLetter, listener),
    lookAtInvite: async (link) => {
      const hostile = Object.entries(hostileTexts).find(([key]) => link.endsWith(`#${key}`))?.[1];
      if (hostile) return { serverName: hostile, inviterName: hostile, once: true };
      if (link.endsWith("spent")) throw new SnugError("invite-invalid", "this link has been used");
      return {
        serverName: "lena.example",
        inviterName: link.endsWith("setup") ? null : "Lena",
        once: true,
      };
    },
    join: async ({ name }) => {
      if (room === "doorstep") throw new SnugError("name-invalid", `${giantWord.slice(0, 1000)} ${name}`);
      if (name === "Lena") throw new SnugError("name-taken", "this name is taken here, choose another");
      become(joined("empty", []));
      return { recoveryCode: "K7QF-2M9X-TRPW-6D4H-ZN8B-VC3J-YA5E" };
    },
    send: async (to, text) => {
      if (new TextEncoder().encode(text).length > limits.text) throw new SnugError("too-large", "too large");
      const letter: Letter = {
        id: randomId(MessageId),
        thread: to,
        from: me,
        text,
        ...{ time: Date.now(), order: written.length + 1, senderEnd: null },
        state: { is: "queued" },
      };
      add(letter);
      if (room !== "offline") setTimeout(() => add({ ...letter, state: { is: "delivered" } }), 60);
      if (text === "echo") {
        const echo: Letter = {
          ...letter,
          id: randomId(MessageId),
          from: to,
          order: letter.order + 1,
          text: "an echo",
          state: { is: "received", gapBefore: false },
        };
        setTimeout(() => {
          add(echo);
          for (const listener of onLetter) listener(echo);
        }, 30);
      }
      return letter.id;
    },
    settled: async () => undefined,
    letters: async ({ thread, most }) => written.filter((one) => one.thread === thread).slice(-most),
    markRead: async () => update((now) => ({ threads: now.threads.map((one) => ({ ...one, unread: 0 })) })),
    ...fakeInvites(),
    setBlocked: async (of, blocked) =>
      update((now) => ({
        people: now.people.map((one) => (one.account === of ? { ...one, blocked } : one)),
      })),
    safetyNumber: async () => Array.from({ length: 12 }, (_, n) => String(13_579 + n * 5_211)).join(" "),
    setVerified: async (of, verified) =>
      trust(of, verified ? { how: "verified", by: "safety-number" } : { how: "unverified" }),
    acceptNewKeys: async (of) => trust(of, { how: "unverified" }),
    dismissNotice: async (which) =>
      update((now) => ({ notices: now.notices.filter((one) => one.id !== which) })),
    devices: async (of) =>
      devicesOf(of).map((one) => (endedDevices.has(one.device) ? { ...one, endedBy: me } : one)),
    removeAccount: async (of) =>
      update((now) => ({
        people: now.people.map((one) =>
          one.account === of ? { ...one, removed: true, removedBy: me, online: false } : one,
        ),
      })),
    endDevice: async (_, device) => {
      endedDevices.add(device);
      update(() => ({}));
    },
    setRole: async (of, role) =>
      update((now) => ({ people: now.people.map((one) => (one.account === of ? { ...one, role } : one)) })),
    title: async (wanted) => {
      const title = library(room)?.titles.find((one) => one.id === wanted);
      if (room === "hostile" || !title) throw new SnugError("not-found", hostileTexts.image ?? "");
      // Nothing of it can be played: the player is there, and says so.
      return { title, base: "/m/me/", master: "", playlists: {}, inits: {} };
    },
    openMedia: async () => undefined,
    playbackUrl: async () => "",
    signOut: async () => become({ phase: "ended", why: "This browser has forgotten its keys and letters." }),
    leave: async () => become({ phase: "ended", why: "Your account is removed." }),
    close: async () => undefined,
  };
}

/** So many letters of Lena come, one shortly after another, each third of them higher. */
async function arrive(count: number, before: () => number, add: (letter: Letter) => void): Promise<void> {
  for (let number = 1; number <= count; number++) {
    add({
      ...{ id: randomId(MessageId), thread: account("Lena"), from: account("Lena"), time: Date.now() },
      ...{ order: before() + 1, senderEnd: null, state: { is: "received", gapBefore: false } },
      text: `Of many the ${number}.${number % 3 === 0 ? "\nand on".repeat(number % 8) : ""}`,
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Two open links, one of them made here; as many as a member may have can be made. */
function fakeInvites(): Pick<Client, "invite" | "invites" | "revokeInvite"> {
  const link = `${self.location.origin}/join#${"o2dhZGRyZXNz".repeat(60)}`;
  let invites: readonly OpenInvite[] = [1, 10].map((usesLeft, at) => ({
    ...{ hash: Hash.parse(id(`invite ${at}`)), usesLeft },
    ...{ created: Date.UTC(2026, 10, 20), expires: Date.UTC(2026, 10, 27, 12) },
    kept: at === 0 ? { link, once: true } : null,
  }));
  return {
    invite: async ({ uses }) => {
      if (invites.length >= limits.invites) throw new SnugError("quota", "you have too many open invites");
      const expires = Date.now() + limits.invite;
      const hash = Hash.parse(id(`invite ${invites.length}`));
      const kept = { link, once: uses === 1 };
      invites = [...invites, { hash, usesLeft: uses, created: Date.now(), expires, kept }];
      return link;
    },
    invites: async () => invites,
    revokeInvite: async (hash) => {
      invites = invites.filter((one) => one.hash !== hash);
    },
  };
}

/** A laptop, a device whose time is set, and one that was ended. */
function devicesOf(of: AccountId): DeviceView[] {
  const device = (name: string) => DeviceId.parse(`${id(name + of).slice(0, 21)}A`);
  const added = Date.UTC(2026, 8, 3, 12);
  return [
    { device: device("a"), rights: "full", ends: null, added, endedBy: null },
    { device: device("b"), rights: "send-only", ends: added + 400 * 24 * 60 * minute, added, endedBy: null },
    { device: device("c"), rights: "full", ends: null, added: added - 9e9, endedBy: of },
  ];
}

function joined(room: Scenario["room"], written: readonly Letter[]): Joined {
  return {
    phase: "joined",
    me: { account: me, device: DeviceId.parse(`${id("dev").slice(0, 21)}A`), name: "Tomasz", role: "admin" },
    server: {
      id: ServerId.parse(id("server")),
      name: room === "hostile" ? Object.values(hostileTexts).join(" ").slice(0, 255) : "lena.example",
      origin: self.location.origin,
      authority: null,
    },
    connection:
      room === "offline"
        ? { is: "offline", why: "no answer", byDisk: false, retryAt: Date.now() + 5000 }
        : room === "diskless"
          ? { is: "offline", why: StoreError.ofDisk(new Error("quota")).message, byDisk: true, retryAt: 0 }
          : room === "stopped"
            ? { is: "stopped", code: "rolled-back", why: "It showed an older state than it had confirmed." }
            : { is: "online" },
    people: room === "broken" ? (null as never) : people(room),
    threads: threadsOf(written, 2),
    repeated: room === "changed" ? 2 : 0,
    library: library(room),
    notices:
      room === "hostile"
        ? Object.values(hostileTexts).map((text, at) => ({
            ...{ id: at, time: Date.now(), level: at % 2 ? ("loud" as const) : ("quiet" as const) },
            text: `A letter that is said to be from ${text} was refused`,
          }))
        : room === "changed"
          ? [
              {
                id: 1,
                time: Date.now(),
                level: "loud",
                text: "A letter from Marek could not be verified and was not opened.",
              },
              {
                id: 2,
                time: Date.now(),
                level: "quiet",
                text: "Marek renewed their keys with the recovery code.",
              },
            ]
          : [],
  };
}

function threadsOf(written: readonly Letter[], unread: number): Joined["threads"] {
  const accounts = [...new Set(written.map((letter) => letter.thread))];
  return accounts.map((of) => ({
    account: of,
    unread,
    last: written.findLast((letter) => letter.thread === of) ?? null,
  }));
}

function listen<T>(set: Set<T>, one: T): () => void {
  set.add(one);
  return () => set.delete(one);
}
