import { Box, Text } from "ink";
import { createElement as h, type ReactNode } from "react";
import { harmlessLine } from "../../output.ts";
import type { Joined } from "../../session.ts";
import { firstNotice, shownPeople, shownTitles } from "../press.ts";
import { menuEntries } from "../screen.ts";
import { listRow } from "./frame.ts";

export function menuView(of: { readonly state: Joined; readonly chosen: string }): ReactNode {
  const remarks = [peopleRemark(of.state), videosRemark(of.state), ""];
  const notice = firstNotice(of.state);
  return h(
    Box,
    { flexDirection: "column", paddingTop: 1 },
    ...menuEntries.map((entry, at) =>
      listRow(
        { key: entry, chosen: entry === of.chosen },
        h(Box, { width: 10 }, h(Text, { bold: entry === of.chosen }, entry)),
        h(Text, { dimColor: true }, remarks[at]),
      ),
    ),
    // A loud one stands above, on every screen.
    notice?.level === "quiet" &&
      h(
        Box,
        { paddingX: 1, paddingTop: 1 },
        h(Text, null, `${harmlessLine(notice.text)} (x puts this away)`),
      ),
    of.state.repeated > 0 &&
      h(Box, { paddingX: 1, paddingTop: 1 }, h(Text, { dimColor: true }, repeatedWords(of.state.repeated))),
  );
}

function repeatedWords(count: number): string {
  return count === 1
    ? "The server delivered a letter a second time; it was left out."
    : `The server delivered ${count} letters a second time; they were left out.`;
}

function peopleRemark(state: Joined): string {
  const others = shownPeople(state).filter((person) => person.account !== state.me.account);
  const online = others.filter((person) => person.online).length;
  const unread = state.threads.reduce((sum, thread) => sum + thread.unread, 0);
  const letters = unread === 0 ? "" : `, ${unread} unread ${unread === 1 ? "letter" : "letters"}`;
  return `${online} of ${others.length} online${letters}`;
}

function videosRemark(state: Joined): string {
  const { length } = shownTitles(state);
  if (state.library === null) return "…";
  return length === 1 ? "1 title" : `${length} titles`;
}
