import { adviceOf, noticesBeside } from "@snug/client";
import { Box, Text } from "ink";
import { createElement as h, type ReactNode } from "react";
import { harmlessLine } from "../../output.ts";
import type { Shown } from "../interaction.ts";
import { firstNotice } from "../press.ts";
import type { Paint } from "./paint.ts";

/** What must be known on every screen: why the connection was stopped and what to do, and the first loud notice. */
export function alarmsOf({ screen, state }: Shown): readonly string[] {
  if (state.phase !== "joined") return [];
  const { connection } = state;
  const alarms: string[] = [];
  if (connection.is === "stopped") {
    const why = harmlessLine(connection.why).replace(/[.!?]?$/, ".");
    alarms.push(`! Stopped: ${why} ${adviceOf(connection)}`);
  }
  const notice = firstNotice(state);
  if (notice?.level === "loud") {
    const away = screen.at === "menu" ? "x puts this away" : "in the menu, x puts this away";
    const loud = noticesBeside(connection, state.notices).filter(({ level }) => level === "loud");
    const behind = loud.length > 1 ? `; ${loud.length - 1} more behind it` : "";
    alarms.push(`! ${harmlessLine(notice.text)} (${away}${behind})`);
  }
  return alarms;
}

/** Rows that the alarms take at this width, a margin at each side; words may break one row later than letters. */
export function rowsOf(alarms: readonly string[], columns: number): number {
  return alarms.reduce((rows, alarm) => rows + Math.ceil(alarm.length / Math.max(1, columns - 12)), 0);
}

export function alarmView(alarms: readonly string[], paint: Paint): ReactNode {
  if (alarms.length === 0) return null;
  return h(
    Box,
    { flexDirection: "column", flexShrink: 0, paddingX: 1 },
    ...alarms.map((alarm) => h(Text, { key: alarm, bold: true, ...paint("loud") }, alarm)),
  );
}
