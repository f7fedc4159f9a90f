import { awaitsLook, type ClientState, type Notice, noticesBeside, type Person } from "@snug/client";
import type { TitleView } from "@snug/protocol";
import {
  emptyField,
  eraseBack,
  eraseForward,
  type Field,
  insert,
  moveLeft,
  moveRight,
  moveToEnd,
  moveToStart,
  textOf,
} from "./field.ts";
import type { Key } from "./keys.ts";
import { type Act, menuEntries, type Screen } from "./screen.ts";

export interface Step {
  readonly screen: Screen;
  readonly act?: Act;
}

/** Letters that a page key scrolls. */
const page = 5;

type ScreenAt<A extends Screen["at"]> = Extract<Screen, { at: A }>;

/** What a key does: the next screen, and perhaps something to be done outside. Pure. */
export function press(screen: Screen, key: Key, state: ClientState): Step {
  if (key.is === "interrupt") return { screen, act: { do: "quit" } };
  switch (screen.at) {
    case "link":
      return inLink(screen, key);
    case "name":
      return inName(screen, key);
    case "recovery":
      return { screen: key.is === "enter" ? { at: "menu", chosen: "People" } : screen };
    case "menu":
      return inMenu(screen, key, state);
    case "people":
      return inPeople(screen, key, state);
    case "thread":
      return inThread(screen, key);
    case "safety":
      return inSafety(screen, key, state);
    case "videos":
      return inVideos(screen, key, state);
  }
}

function inLink(screen: ScreenAt<"link">, key: Key): Step {
  if (screen.busy) return { screen };
  if (key.is === "escape") return { screen, act: { do: "quit" } };
  const link = textOf(screen.field).trim();
  if (key.is === "enter" && link !== "") {
    return { screen: { ...screen, busy: true, problem: null }, act: { do: "look", link } };
  }
  // A link that wraps in the place it was copied from comes with line breaks.
  return { screen: { ...screen, field: edit(screen.field, withoutBreaks(key)) } };
}

function inName(screen: ScreenAt<"name">, key: Key): Step {
  if (screen.busy) return { screen };
  if (key.is === "escape") return { screen: { at: "link", field: emptyField, busy: false, problem: null } };
  const name = textOf(screen.field).trim();
  if (key.is === "enter" && name !== "") {
    return { screen: { ...screen, busy: true, problem: null }, act: { do: "join", link: screen.link, name } };
  }
  return { screen: { ...screen, field: edit(screen.field, withoutBreaks(key)) } };
}

function inMenu(screen: ScreenAt<"menu">, key: Key, state: ClientState): Step {
  const notice = firstNotice(state);
  if (isLetter(key, "q")) return { screen, act: { do: "quit" } };
  if (isLetter(key, "x") && notice) return { screen, act: { do: "dismiss", notice: notice.id } };
  if (key.is === "enter" || key.is === "right") {
    if (screen.chosen === "Quit") return { screen, act: { do: "quit" } };
    const [first] = shownPeople(state);
    return screen.chosen === "People"
      ? { screen: { at: "people", chosen: first?.account ?? null } }
      : { screen: { at: "videos", chosen: null, playing: null, problem: null } };
  }
  return { screen: { ...screen, chosen: choose(menuEntries, screen.chosen, key) ?? "People" } };
}

function inPeople(screen: ScreenAt<"people">, key: Key, state: ClientState): Step {
  const people = shownPeople(state);
  const person = people.find(({ account }) => account === screen.chosen);
  if (goesBack(key)) return { screen: { at: "menu", chosen: "People" } };
  if (isLetter(key, "q")) return { screen, act: { do: "quit" } };
  if (person && isLetter(key, "v")) return toSafety(person.account);
  if (person && (key.is === "enter" || key.is === "right")) return toThread(person.account);
  const accounts = people.map(({ account }) => account);
  return { screen: { ...screen, chosen: choose(accounts, screen.chosen, key) } };
}

function inThread(screen: ScreenAt<"thread">, key: Key): Step {
  const count = screen.letters?.length ?? 0;
  const scroll = (by: number): Step => ({
    screen: { ...screen, below: Math.max(0, Math.min(count - 1, screen.below + by)) },
    // The upper end: older letters may follow.
    ...(screen.below + by >= count - 1
      ? { act: { do: "load", account: screen.account, more: true } as const }
      : {}),
  });
  switch (key.is) {
    case "escape":
      return { screen: { at: "people", chosen: screen.account } };
    case "tab":
      return toSafety(screen.account);
    case "up":
      return scroll(1);
    case "down":
      return scroll(-1);
    case "pageUp":
      return scroll(page);
    case "pageDown":
      return scroll(-page);
    case "enter": {
      const text = textOf(screen.draft).trim();
      if (text === "") return { screen };
      const act = { do: "send", account: screen.account, text } as const;
      return { screen: { ...screen, draft: emptyField, below: 0, problem: null }, act };
    }
    default:
      return { screen: { ...screen, draft: edit(screen.draft, key) } };
  }
}

function inSafety(screen: ScreenAt<"safety">, key: Key, state: ClientState): Step {
  const person = shownPeople(state).find((each) => each.account === screen.account);
  if (goesBack(key)) return toThread(screen.account);
  if (isLetter(key, "y")) return { screen, act: { do: "verify", account: screen.account } };
  if (isLetter(key, "a") && person && awaitsLook(person)) {
    return { screen, act: { do: "acceptKeys", account: screen.account } };
  }
  return { screen };
}

function inVideos(screen: ScreenAt<"videos">, key: Key, state: ClientState): Step {
  const titles = shownTitles(state);
  const chosen = chosenTitle(screen.chosen, state);
  const title = titles.find(({ id }) => id === chosen);
  if (goesBack(key)) return { screen: { at: "menu", chosen: "Videos" } };
  if (isLetter(key, "q")) return { screen, act: { do: "quit" } };
  if (title && key.is === "enter") {
    if (title.state !== "playable") return { screen: { ...screen, problem: title.reason ?? title.state } };
    return {
      screen: { ...screen, playing: null, problem: null },
      act: { do: "play", title: title.id, name: title.name },
    };
  }
  const ids = titles.map(({ id }) => id);
  return { screen: { ...screen, chosen: choose(ids, chosen, key) } };
}

function toThread(account: Person["account"]): Step {
  return {
    screen: { at: "thread", account, draft: emptyField, letters: null, below: 0, problem: null },
    act: { do: "load", account, more: false },
  };
}

function toSafety(account: Person["account"]): Step {
  return { screen: { at: "safety", account, number: null, problem: null }, act: { do: "number", account } };
}

/** The notice that is shown first and put away first: loud before quiet, old before new. */
export function firstNotice(state: ClientState): Notice | undefined {
  if (state.phase !== "joined") return undefined;
  const notices = noticesBeside(state.connection, state.notices);
  return notices.find(({ level }) => level === "loud") ?? notices[0];
}

/** The people of the list, in its order: one that doesn't move under the hand when somebody comes or goes. */
export function shownPeople(state: ClientState): readonly Person[] {
  if (state.phase !== "joined") return [];
  return state.people.filter((person) => !person.removed).sort((a, b) => a.name.localeCompare(b.name));
}

/** The first as long as no other is: the list may come later than its screen. */
export function chosenTitle(chosen: TitleView["id"] | null, state: ClientState): TitleView["id"] | null {
  return chosen ?? shownTitles(state)[0]?.id ?? null;
}

export function shownTitles(state: ClientState): readonly TitleView[] {
  return state.phase === "joined" ? (state.library?.titles ?? []) : [];
}

/** Where one is no more that was chosen, nothing is until a key moves to the list's beginning. */
function choose<T>(list: readonly T[], chosen: T | null, key: Key): T | null {
  const at = chosen === null ? -1 : list.indexOf(chosen);
  if (key.is === "home") return list[0] ?? null;
  if (key.is === "end") return list.at(-1) ?? null;
  if (key.is === "up") return list[Math.max(0, at - 1)] ?? null;
  return key.is === "down" ? (list[at + 1] ?? list.at(-1) ?? null) : chosen;
}

function goesBack(key: Key): boolean {
  return key.is === "escape" || key.is === "left";
}

function isLetter(key: Key, letter: string): boolean {
  return key.is === "text" && key.text.toLowerCase() === letter;
}

function withoutBreaks(key: Key): Key {
  return key.is === "text" ? { ...key, text: key.text.replace(/\s*\n\s*/g, "") } : key;
}

function edit(field: Field, key: Key): Field {
  switch (key.is) {
    case "text":
      return insert(field, key.text);
    case "backspace":
      return eraseBack(field);
    case "delete":
      return eraseForward(field);
    case "left":
      return moveLeft(field);
    case "right":
      return moveRight(field);
    case "home":
      return moveToStart(field);
    case "end":
      return moveToEnd(field);
    case "eraseAll":
      return emptyField;
    default:
      return field;
  }
}
