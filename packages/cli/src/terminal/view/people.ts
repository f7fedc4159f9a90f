import { awaitsLook, type Person } from "@snug/client";
import { Box, Text } from "ink";
import { createElement as h, type ReactNode } from "react";
import { harmlessLine } from "../../output.ts";
import type { Joined } from "../../session.ts";
import { presenceWord, trustWord } from "../../words.ts";
import { shownPeople } from "../press.ts";
import type { Screen } from "../screen.ts";
import { listRow, problemView, visible } from "./frame.ts";
import type { Paint } from "./paint.ts";

export function peopleView(of: {
  readonly state: Joined;
  readonly chosen: Person["account"] | null;
  readonly rows: number;
  readonly paint: Paint;
}): ReactNode {
  const people = shownPeople(of.state);
  const chosen = people.findIndex(({ account }) => account === of.chosen);
  const alone = people.every((person) => person.account === of.state.me.account);
  return [
    ...visible(people, chosen, of.rows - (alone ? 3 : 0)).map((person) =>
      personRow({ person, state: of.state, chosen: person === people[chosen], paint: of.paint }),
    ),
    alone &&
      h(Text, { key: "alone" }, "\n  Nobody else is here yet. `snug invite` prints a link for a friend."),
  ];
}

function personRow(of: {
  readonly person: Person;
  readonly state: Joined;
  readonly chosen: boolean;
  readonly paint: Paint;
}): ReactNode {
  const { person } = of;
  const unread = of.state.threads.find((thread) => thread.account === person.account)?.unread ?? 0;
  return listRow(
    { key: person.account, chosen: of.chosen },
    h(Box, { width: 34 }, h(Text, { bold: of.chosen, wrap: "truncate" }, harmlessLine(person.name))),
    h(
      Box,
      { width: 9 },
      h(Text, { dimColor: !person.online }, `${person.online ? "●" : "○"} ${presenceWord(person)}`),
    ),
    h(Box, { width: 11 }, trustView(person, of.paint)),
    h(Text, { bold: true }, unread > 0 ? `${unread} unread` : ""),
  );
}

export function trustView(person: Person, paint: Paint): ReactNode {
  const { how } = person.trust;
  const tone =
    how === "verified" ? paint("verified") : awaitsLook(person) ? { bold: true, ...paint("loud") } : {};
  return h(Text, tone, trustWord(person));
}

/** The safety number with somebody, four rows of three groups. */
export function safetyView(of: {
  readonly state: Joined;
  readonly screen: Extract<Screen, { at: "safety" }>;
  readonly paint: Paint;
}): ReactNode {
  const person = shownPeople(of.state).find((each) => each.account === of.screen.account);
  if (!person) return h(Text, null, " This person has left.");
  const name = harmlessLine(person.name);
  const groups = of.screen.number?.split(/\s+/) ?? [];
  const rows = [0, 3, 6, 9].map((at) => groups.slice(at, at + 3).join("   "));
  return h(
    Box,
    { flexDirection: "column", paddingX: 2, paddingTop: 1, gap: 1 },
    h(Text, null, `Safety number with ${name} — `, trustView(person, of.paint)),
    awaitsLook(person) &&
      h(
        Text,
        { bold: true, ...of.paint("loud") },
        `${person.trust.how === "unproven" ? `${name} came by your invite without its proof.` : `The keys of ${name} changed.`} Nothing is sent until you have looked: compare the number, by voice or in person.`,
      ),
    h(Text, { bold: true }, groups.length === 0 ? "…" : rows.join("\n")),
    h(Text, null, `If ${name} sees the same number, nobody stands between you: press y.`),
    problemView(of.screen.problem, of.paint),
  );
}
