import type { Client, ClientState } from "@snug/client";
import type { TitleView } from "@snug/protocol";
import { CommandError, exitCodes } from "./exit.ts";
import { harmlessLine } from "./output.ts";
import { authorityFile, playWithMpv } from "./player.ts";
import { foldName, type Place, until, withConnection } from "./session.ts";
import { lengthWords } from "./words.ts";

/** A line a title: name, length, state (with the reason), with tabs. */
export async function videos(of: Place): Promise<void> {
  await withConnection(of.home, async (client) => {
    for (const title of await loadTitles(client)) {
      const { id, name, state, reason, durationMicroseconds, size, renditions, notes } = title;
      const words = reason === null ? state : `${state}: ${reason}`;
      await of.output.data(
        { id, name, state, reason, seconds: durationMicroseconds / 1_000_000, size, renditions, notes },
        [
          harmlessLine(name),
          state === "playable" ? lengthWords(durationMicroseconds) : "-",
          harmlessLine(words),
        ].join("\t"),
      );
    }
  });
}

/**
 * Plays a title with mpv, or prints a URL for another player; waits for one that is still being prepared. Throws
 * CommandError 5 for an unknown title.
 */
export async function play(
  of: Place & { readonly title: string; readonly printUrl: boolean },
): Promise<void> {
  const opened = await withConnection(of.home, async (client, { server }) => {
    await loadTitles(client);
    const look = (state: ClientState): TitleView | undefined => {
      const titles = titlesOf(state);
      const title = titles && findTitle(titles, of.title);
      return title?.state === "preparing" ? undefined : title;
    };
    const title = await until(client, look, `${of.title} is still being prepared`);
    const authority = await authorityFile(of.home, server.authority);
    return { name: title.name, url: await client.playbackUrl(title.id), authority };
  });
  if (!of.printUrl) {
    // The client is closed by now: a film must not keep other commands out of this home.
    return playInFront(opened);
  }
  if (opened.authority)
    of.output.say(`The server's own authority, for the player's TLS: ${opened.authority}`);
  await of.output.data(opened, opened.url);
}

/** The terminal belongs to mpv: it gets Ctrl-C itself, and we stay until it has put the terminal back. */
async function playInFront(of: { name: string; url: string; authority: string | null }): Promise<void> {
  const end = new AbortController();
  const stop = (): void => end.abort();
  const wait = (): undefined => undefined;
  process.on("SIGINT", wait).once("SIGTERM", stop).once("SIGHUP", stop);
  await playWithMpv({ ...of, quiet: false, signal: end.signal });
}

function loadTitles(client: Client): Promise<readonly TitleView[]> {
  return until(client, titlesOf, "the library does not come");
}

function titlesOf(state: ClientState): readonly TitleView[] | undefined {
  return state.phase === "joined" ? (state.library?.titles ?? undefined) : undefined;
}

function findTitle(titles: readonly TitleView[], wanted: string): TitleView {
  const found = titles.filter((title) => foldName(title.name) === foldName(wanted) || title.id === wanted);
  const [title] = found;
  if (title === undefined) throw new CommandError(exitCodes.notFound, `no video is called ${wanted}`);
  if (found.length > 1) {
    const ids = found.map((each) => each.id).join(", ");
    throw new CommandError(
      exitCodes.notFound,
      `${found.length} videos are called ${wanted}; use an id: ${ids}`,
    );
  }
  if (title.state === "unplayable") {
    throw new CommandError(exitCodes.failed, `${title.name} can't be played: ${title.reason ?? title.state}`);
  }
  return title;
}
