import type { ClientState, InviteLook, Letter } from "@snug/client";
import type { AccountId, TitleId } from "@snug/protocol";
import { emptyField, type Field, insert, textOf } from "./field.ts";

/** The menu: the original's three entries. */
export const menuEntries = ["People", "Videos", "Quit"] as const;
type MenuEntry = (typeof menuEntries)[number];

/** What is on the screen; each with only what it needs. `problem` says in words what did not work. */
export type Screen =
  | { readonly at: "link"; readonly field: Field; readonly busy: boolean; readonly problem: string | null }
  | {
      readonly at: "name";
      readonly link: string;
      readonly look: InviteLook;
      readonly field: Field;
      readonly busy: boolean;
      readonly problem: string | null;
    }
  | { readonly at: "recovery"; readonly code: string }
  | { readonly at: "menu"; readonly chosen: MenuEntry }
  /** Who is chosen, not which row: the list may move under the hand. null where there is nobody. */
  | { readonly at: "people"; readonly chosen: AccountId | null }
  | {
      readonly at: "thread";
      readonly account: AccountId;
      readonly draft: Field;
      /** null until loaded. */
      readonly letters: readonly Letter[] | null;
      /** How many of the newest letters are scrolled out below. */
      readonly below: number;
      readonly problem: string | null;
    }
  | {
      readonly at: "safety";
      readonly account: AccountId;
      readonly number: string | null;
      readonly problem: string | null;
    }
  | {
      readonly at: "videos";
      /** null for the first. */
      readonly chosen: TitleId | null;
      readonly playing: Playing | null;
      readonly problem: string | null;
    };

/** A title under way: `mpv` is false where mpv is missing and the person opens the URL elsewhere. */
export interface Playing {
  readonly name: string;
  readonly url: string;
  /** File of the server's own TLS authority, which other players need; null where the system's list decides. */
  readonly authority: string | null;
  readonly mpv: boolean;
}

/** What a screen wants done outside: the client's work, never the terminal's. */
export type Act =
  | { readonly do: "quit" }
  | { readonly do: "look"; readonly link: string }
  | { readonly do: "join"; readonly link: string; readonly name: string }
  /** `more`: older letters than before, too. */
  | { readonly do: "load"; readonly account: AccountId; readonly more: boolean }
  | { readonly do: "send"; readonly account: AccountId; readonly text: string }
  | { readonly do: "number"; readonly account: AccountId }
  | { readonly do: "verify"; readonly account: AccountId }
  | { readonly do: "acceptKeys"; readonly account: AccountId }
  | { readonly do: "play"; readonly title: TitleId; readonly name: string }
  | { readonly do: "dismiss"; readonly notice: number };

/** What became of an act. */
export type News =
  | { readonly is: "looked"; readonly link: string; readonly look: InviteLook }
  | { readonly is: "joined"; readonly code: string }
  | { readonly is: "letters"; readonly account: AccountId; readonly letters: readonly Letter[] }
  /** The text comes back into the composer: nothing written is lost. */
  | { readonly is: "unsent"; readonly account: AccountId; readonly text: string; readonly why: string }
  | { readonly is: "number"; readonly account: AccountId; readonly number: string }
  | { readonly is: "playing"; readonly playing: Playing }
  | { readonly is: "failed"; readonly why: string };

/** Where a state begins. */
export function firstScreen(state: ClientState): Screen {
  return state.phase === "joined"
    ? { at: "menu", chosen: "People" }
    : { at: "link", field: emptyField, busy: false, problem: state.phase === "ended" ? state.why : null };
}

/** The screen after some news. News for a screen that is gone changes nothing. */
export function hear(screen: Screen, news: News): Screen {
  if (news.is === "failed") {
    if (screen.at === "link" || screen.at === "name") return { ...screen, busy: false, problem: news.why };
    return "problem" in screen ? { ...screen, problem: news.why } : screen;
  }
  if (news.is === "looked" && screen.at === "link") {
    return { at: "name", link: news.link, look: news.look, field: emptyField, busy: false, problem: null };
  }
  if (news.is === "joined" && screen.at === "name") return { at: "recovery", code: news.code };
  if (news.is === "letters" && screen.at === "thread" && screen.account === news.account) {
    return { ...screen, letters: news.letters, below: stay(screen, news.letters) };
  }
  if (news.is === "unsent" && screen.at === "thread" && screen.account === news.account) {
    return {
      ...screen,
      draft: insert({ before: news.text, after: "" }, textOf(screen.draft)),
      problem: news.why,
    };
  }
  if (news.is === "number" && screen.at === "safety" && screen.account === news.account) {
    return { ...screen, number: news.number };
  }
  if (news.is === "playing" && screen.at === "videos") {
    return { ...screen, playing: news.playing, problem: null };
  }
  return screen;
}

/** Whoever has scrolled up keeps the same letters before their eyes when new ones come. */
function stay(screen: Extract<Screen, { at: "thread" }>, letters: readonly Letter[]): number {
  if (screen.below === 0 || screen.letters === null) return 0;
  const lastSeen = screen.letters[screen.letters.length - 1 - screen.below];
  const at = letters.findIndex((letter) => letter.id === lastSeen?.id && letter.from === lastSeen.from);
  return at === -1 ? screen.below : letters.length - 1 - at;
}
