import { type Letter, senderEndWords } from "@snug/client";
import { Box, Text } from "ink";
import { createElement as h, type ReactElement, type ReactNode } from "react";
import { harmless, harmlessLine } from "../../output.ts";
import type { Joined } from "../../session.ts";
import { presenceWord } from "../../words.ts";
import type { Screen } from "../screen.ts";
import { fieldView } from "./field.ts";
import { problemView } from "./frame.ts";
import type { Paint } from "./paint.ts";
import { trustView } from "./people.ts";

interface ThreadView {
  readonly state: Joined;
  readonly screen: Extract<Screen, { at: "thread" }>;
  readonly columns: number;
  readonly rows: number;
  readonly paint: Paint;
}

/** The letters with one person, the newest at the bottom, and the composer. */
export function threadView(of: ThreadView): ReactNode {
  return [
    h(Box, { key: "who", flexShrink: 0, paddingX: 1 }, who(of)),
    h(
      Box,
      {
        key: "letters",
        flexDirection: "column",
        justifyContent: "flex-end",
        flexGrow: 1,
        flexShrink: 1,
        overflow: "hidden",
        paddingX: 1,
      },
      ...lettersView(of),
    ),
    problemView(of.screen.problem, of.paint),
    h(
      Box,
      // A long draft shows its end, where the typing happens.
      {
        key: "draft",
        flexShrink: 0,
        paddingX: 1,
        maxHeight: 5,
        overflow: "hidden",
        flexDirection: "column",
        justifyContent: "flex-end",
      },
      h(Box, { flexShrink: 0 }, fieldView({ label: "> ", field: of.screen.draft })),
    ),
  ];
}

function who(of: ThreadView): ReactElement {
  const person = of.state.people.find((each) => each.account === of.screen.account);
  if (!person) return h(Text, null, "?");
  return h(
    Text,
    { wrap: "truncate" },
    h(Text, { bold: true }, harmlessLine(person.name)),
    ` · ${presenceWord(person)} · `,
    trustView(person, of.paint),
    h(Text, { dimColor: true }, " · letters: end-to-end encrypted, without forward secrecy"),
    person.notice === null ? "" : ` · ${harmlessLine(person.notice)}`,
  );
}

function lettersView(of: ThreadView): ReactNode[] {
  const { letters, below } = of.screen;
  if (letters === null) return [h(Text, { key: "wait", dimColor: true }, "…")];
  if (letters.length === 0)
    return [h(Text, { key: "none", dimColor: true }, "No letters yet. Write the first.")];
  const end = letters.length - below;
  // Each letter takes a line at least: more can't be seen.
  const shown = letters.slice(Math.max(0, end - of.rows), end);
  const more = below > 0 ? [h(Text, { key: "more", dimColor: true }, `… ${below} newer below`)] : [];
  return [...shown.map((letter) => letterView(of, letter)), ...more];
}

function letterView(of: ThreadView, letter: Letter): ReactElement {
  const own = letter.from === of.state.me.account && letter.state.is !== "received";
  const person = of.state.people.find((each) => each.account === letter.from);
  const name = own ? "you" : harmlessLine(person?.name ?? "?");
  const gap = letter.state.is === "received" && letter.state.gapBefore;
  const words = senderEndWords(letter);
  return h(
    Box,
    { key: `${letter.order}`, flexDirection: "column", flexShrink: 0 },
    gap && h(Text, { dimColor: true }, `— a letter that ${name} sent before this one has not arrived —`),
    h(
      Box,
      { flexShrink: 0, gap: 1 },
      h(
        Box,
        { flexShrink: 0, width: Math.min(24, Math.floor(of.columns / 3)) },
        h(Text, { wrap: "truncate", dimColor: own }, `${clock(letter.time)} ${name}${stateWord(letter)}`),
      ),
      h(Box, { flexGrow: 1, flexShrink: 1 }, h(Text, { wrap: "wrap" }, harmless(letter.text))),
    ),
    words && h(Text, { dimColor: true }, `  — ${words} —`),
    letter.state.is === "held" &&
      h(Text, { bold: true, ...of.paint("loud") }, `  ! ${harmlessLine(letter.state.why)}`),
  );
}

function stateWord(letter: Letter): string {
  switch (letter.state.is) {
    case "received":
      return "";
    case "queued":
      return " queued";
    case "held":
      return " held";
    case "accepted":
      return " ✓ sent";
    case "delivered":
      return " ✓✓ delivered";
  }
}

function clock(time: number): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}
