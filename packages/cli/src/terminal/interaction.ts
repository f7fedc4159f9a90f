import { awaitsLook, type Client, type ClientState } from "@snug/client";
import type { AccountId } from "@snug/protocol";
import { CommandError } from "../exit.ts";
import { authorityFile, playWithMpv } from "../player.ts";
import type { Key } from "./keys.ts";
import { press } from "./press.ts";
import { type Act, firstScreen, hear, type News, type Screen } from "./screen.ts";

/** What is shown; replaced as a whole at each change. */
export interface Shown {
  readonly screen: Screen;
  readonly state: ClientState;
}

/** Screen and client together: keys in, something to show out. Knows no terminal. */
export interface Interaction extends Disposable {
  readonly shown: Shown;
  subscribe(listener: () => void): () => void;
  press(key: Key): void;
  /** Resolves when the person quits. */
  readonly ended: Promise<void>;
}

/** Letters loaded at once. */
const page = 100;

export function createInteraction(client: Client, home: string): Interaction {
  const listeners = new Set<() => void>();
  const end = Promise.withResolvers<void>();
  const closed = new AbortController();
  let shown: Shown = { screen: firstScreen(client.state), state: client.state };
  let most = page;
  let loading = false;
  let again = false;

  const show = (screen: Screen): void => {
    shown = { screen, state: client.state };
    for (const listener of listeners) listener();
  };
  const tell = (news: News): void => show(hear(shown.screen, news));
  const attempt = (work: Promise<void>): void => {
    work.catch((error: unknown) => tell({ is: "failed", why: wordsOf(error) }));
  };

  const load = async (account: AccountId): Promise<void> => {
    const letters = await client.letters({ thread: account, most });
    tell({ is: "letters", account, letters });
    const { state } = client;
    if (state.phase !== "joined" || isOpen(shown.screen) !== account) return;
    if (state.threads.some((thread) => thread.account === account && thread.unread > 0)) {
      await client.markRead(account);
    }
  };
  /** Each change of the client may be one of the open thread; a change during a load asks for one more. */
  const reload = (): void => {
    const account = isOpen(shown.screen);
    again = loading;
    if (account === null || loading) return;
    loading = true;
    const next = (): void => {
      loading = false;
      if (again) reload();
    };
    attempt(load(account).finally(next));
  };

  const play = async (act: Extract<Act, { do: "play" }>): Promise<void> => {
    const { state } = client;
    if (state.phase !== "joined") return;
    const url = await client.playbackUrl(act.title);
    const playing = { name: act.name, url, authority: await authorityFile(home, state.server.authority) };
    tell({ is: "playing", playing: { ...playing, mpv: true } });
    try {
      await playWithMpv({ ...playing, quiet: true, signal: closed.signal });
    } catch (error) {
      tell({ is: "playing", playing: { ...playing, mpv: false } });
      throw error;
    }
  };

  const send = async (act: Extract<Act, { do: "send" }>): Promise<void> => {
    try {
      await client.send(act.account, act.text);
    } catch (error) {
      tell({ is: "unsent", account: act.account, text: act.text, why: wordsOf(error) });
    }
    reload();
  };

  const perform = async (act: Act): Promise<void> => {
    switch (act.do) {
      case "quit":
        return end.resolve();
      case "look":
        return tell({ is: "looked", link: act.link, look: await client.lookAtInvite(act.link) });
      case "join":
        return tell({ is: "joined", code: (await client.join(act)).recoveryCode });
      case "load":
        most = act.more ? most + page : page;
        return reload();
      case "send":
        return send(act);
      case "number":
        return tell({ is: "number", account: act.account, number: await client.safetyNumber(act.account) });
      case "verify":
        if (isToBeLookedAt(client.state, act.account)) await client.acceptNewKeys(act.account);
        return client.setVerified(act.account, true);
      case "acceptKeys":
        return client.acceptNewKeys(act.account);
      case "play":
        return play(act);
      case "dismiss":
        return client.dismissNotice(act.notice);
    }
  };

  const unsubscribe = client.subscribe(() => {
    show(client.state.phase === "ended" ? firstScreen(client.state) : shown.screen);
    reload();
  });
  return {
    get shown() {
      return shown;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    press(key) {
      const step = press(shown.screen, key, client.state);
      show(step.screen);
      if (step.act) attempt(perform(step.act));
    },
    ended: end.promise,
    [Symbol.dispose]() {
      unsubscribe();
      closed.abort();
    },
  };
}

function isOpen(screen: Screen): AccountId | null {
  return screen.at === "thread" ? screen.account : null;
}

function isToBeLookedAt(state: ClientState, account: AccountId): boolean {
  return (
    state.phase === "joined" &&
    state.people.some((person) => person.account === account && awaitsLook(person))
  );
}

function wordsOf(error: unknown): string {
  if (error instanceof CommandError) return error.message.replace(/; --print-url.*/, "");
  return error instanceof Error ? error.message : String(error);
}
