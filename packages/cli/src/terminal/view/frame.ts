import { Box, Text } from "ink";
import { createElement as h, type ReactElement, type ReactNode } from "react";
import { harmlessLine } from "../../output.ts";
import { connectionWords } from "../../words.ts";
import type { Shown } from "../interaction.ts";
import type { Paint } from "./paint.ts";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The whole screen: who and how connected above, the keys below, one screen between. */
export function frame(
  of: {
    readonly shown: Shown;
    readonly size: Size;
    readonly paint: Paint;
    readonly keys: string;
    /** What must be known whatever is on the screen, or null. */
    readonly alarms: ReactNode;
  },
  body: ReactNode,
): ReactElement {
  const { columns, rows } = of.size;
  const rule = h(Text, { dimColor: true, wrap: "truncate" }, "─".repeat(columns));
  return h(
    Box,
    { flexDirection: "column", width: columns, height: rows, overflow: "hidden" },
    h(Box, { flexShrink: 0, justifyContent: "space-between", width: columns }, ...header(of)),
    h(Box, { flexShrink: 0 }, rule),
    ...(of.alarms ? [of.alarms, h(Box, { key: "below", flexShrink: 0 }, rule)] : []),
    h(Box, { flexDirection: "column", flexGrow: 1, flexShrink: 1, overflow: "hidden" }, body),
    h(Box, { flexShrink: 0 }, rule),
    h(Box, { flexShrink: 0 }, h(Text, { dimColor: true, wrap: "truncate" }, of.keys)),
  );
}

function header(of: { readonly shown: Shown; readonly paint: Paint }): ReactElement[] {
  const { state } = of.shown;
  const title = h(Text, { key: "title", bold: true, ...of.paint("accent") }, "Snug");
  if (state.phase !== "joined") return [title];
  const { connection, me, server } = state;
  const where = ` · ${harmlessLine(server.name)} · ${harmlessLine(me.name)}`;
  const good = connection.is === "online" || connection.is === "connecting";
  return [
    h(Text, { key: "left", wrap: "truncate" }, title, where),
    h(
      Text,
      { key: "right", wrap: "truncate", ...(good ? {} : { bold: true, ...of.paint("loud") }) },
      ` ${connection.is === "stopped" ? "stopped" : harmlessLine(connectionWords(connection))}`,
    ),
  ];
}

/** What did not work, in words. */
export function problemView(problem: string | null, paint: Paint): ReactNode {
  if (problem === null) return null;
  return h(
    Box,
    { key: "problem", flexShrink: 0, paddingX: 1 },
    h(Text, { bold: true, ...paint("loud") }, `! ${harmlessLine(problem)}`),
  );
}

/** A row of a list, marked when chosen. */
export function listRow(
  of: { readonly key: string; readonly chosen: boolean },
  ...cells: ReactNode[]
): ReactElement {
  return h(
    Box,
    { key: of.key, flexShrink: 0, gap: 2 },
    h(Text, { bold: of.chosen }, of.chosen ? "›" : " "),
    ...cells,
  );
}

/** The part of a list that fits around the chosen row. */
export function visible<T>(items: readonly T[], chosen: number, rows: number): readonly T[] {
  const first = Math.max(0, Math.min(chosen - Math.floor(rows / 2), items.length - rows));
  return items.slice(first, first + Math.max(1, rows));
}
