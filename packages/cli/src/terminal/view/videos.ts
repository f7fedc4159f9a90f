import type { TitleView } from "@snug/protocol";
import { Box, Text } from "ink";
import { createElement as h, type ReactNode } from "react";
import { harmlessLine } from "../../output.ts";
import type { Joined } from "../../session.ts";
import { lengthWords } from "../../words.ts";
import { chosenTitle, shownTitles } from "../press.ts";
import type { Playing, Screen } from "../screen.ts";
import { listRow, problemView, visible } from "./frame.ts";
import type { Paint } from "./paint.ts";

export function videosView(of: {
  readonly state: Joined;
  readonly screen: Extract<Screen, { at: "videos" }>;
  readonly rows: number;
  readonly paint: Paint;
}): ReactNode {
  const titles = shownTitles(of.state);
  const id = chosenTitle(of.screen.chosen, of.state);
  const chosen = titles.findIndex((title) => title.id === id);
  const { playing, problem } = of.screen;
  const taken = (playing ? 6 : 0) + (problem === null ? 0 : 2);
  return [
    ...visible(titles, chosen, of.rows - taken).map((title) => titleRow(title, title === titles[chosen])),
    titles.length === 0 && h(Text, { key: "none" }, `  ${emptyWords(of.state)}`),
    playing && playingView(playing),
    problemView(problem, of.paint),
  ];
}

function emptyWords(state: Joined): string {
  return state.library === null
    ? "…"
    : "No videos yet. They appear when files are put into the server's videos folder.";
}

function titleRow(title: TitleView, chosen: boolean): ReactNode {
  const heights = title.renditions.flatMap(({ height }) => (height === undefined ? [] : [`${height}p`]));
  const words = title.state === "playable" ? heights.join(" ") : `${title.state}: ${title.reason ?? ""}`;
  return listRow(
    { key: title.id, chosen },
    h(Box, { width: 40 }, h(Text, { bold: chosen, wrap: "truncate" }, harmlessLine(title.name))),
    h(
      Box,
      { width: 8 },
      h(Text, null, title.state === "playable" ? lengthWords(title.durationMicroseconds) : "-"),
    ),
    h(Text, { dimColor: true, wrap: "truncate" }, harmlessLine(words)),
  );
}

function playingView(playing: Playing): ReactNode {
  const lead = playing.mpv ? "mpv plays" : "Open with any HLS player:";
  return h(
    Box,
    { key: "playing", flexDirection: "column", flexShrink: 0, paddingX: 1, paddingTop: 1 },
    h(Text, null, `${lead} ${harmlessLine(playing.name)}`),
    h(Text, { wrap: "hard" }, harmlessLine(playing.url)),
    playing.authority !== null && h(Text, { dimColor: true }, `The server's authority: ${playing.authority}`),
  );
}
