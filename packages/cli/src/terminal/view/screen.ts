import { awaitsLook } from "@snug/client";
import type { ReactElement, ReactNode } from "react";
import type { Shown } from "../interaction.ts";
import { alarmsOf, alarmView, rowsOf } from "./alarms.ts";
import { frame, type Size } from "./frame.ts";
import { linkView, nameView, recoveryView } from "./joining.ts";
import { menuView } from "./menu.ts";
import type { Paint } from "./paint.ts";
import { peopleView, safetyView } from "./people.ts";
import { threadView } from "./thread.ts";
import { videosView } from "./videos.ts";

/** Rows that header, rules and keys take. */
const framing = 4;

/** Everything that is on the terminal, from nothing but its arguments. */
export function screenView(of: {
  readonly shown: Shown;
  readonly size: Size;
  readonly paint: Paint;
}): ReactElement {
  const alarms = alarmsOf(of.shown);
  const taken = alarms.length === 0 ? 0 : rowsOf(alarms, of.size.columns) + 1;
  const rows = Math.max(1, of.size.rows - framing - taken);
  return frame(
    { ...of, keys: keysLine(of.shown), alarms: alarmView(alarms, of.paint) },
    bodyView({ ...of, rows }),
  );
}

function bodyView(of: {
  readonly shown: Shown;
  readonly size: Size;
  readonly paint: Paint;
  /** Rows that the body has. */
  readonly rows: number;
}): ReactNode {
  const { paint, rows } = of;
  const { screen, state } = of.shown;
  if (screen.at === "link") return linkView(screen, paint);
  if (screen.at === "name") return nameView(screen, paint);
  if (screen.at === "recovery") return recoveryView(screen.code, paint);
  if (state.phase !== "joined") return null;
  switch (screen.at) {
    case "menu":
      return menuView({ state, chosen: screen.chosen });
    case "people":
      return peopleView({ state, chosen: screen.chosen, rows, paint });
    case "thread":
      return threadView({ state, screen, columns: of.size.columns, rows, paint });
    case "safety":
      return safetyView({ state, screen, paint });
    case "videos":
      return videosView({ state, screen, rows, paint });
  }
}

/** The keys that do something here. */
function keysLine({ screen, state }: Shown): string {
  switch (screen.at) {
    case "link":
      return "Enter go on · Esc quit";
    case "name":
      return "Enter join · Esc back · Ctrl-C quit";
    case "recovery":
      return "Enter it is written down";
    case "menu":
      return "↑↓ choose · Enter open · q quit";
    case "people":
      return "↑↓ choose · Enter letters · v safety number · Esc back · q quit";
    case "thread":
      return "Enter send · Ctrl-J new line · ↑↓ PgUp PgDn scroll · Tab safety number · Esc back";
    case "safety": {
      const changed =
        state.phase === "joined" &&
        state.people.some((each) => each.account === screen.account && awaitsLook(each));
      return `y the numbers match${changed ? " · a accept the keys unverified" : ""} · Esc back`;
    }
    case "videos":
      return "↑↓ choose · Enter play · Esc back · q quit";
  }
}
