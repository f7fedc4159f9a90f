import { Box, Text } from "ink";
import { createElement as h, type ReactElement, type ReactNode } from "react";
import { harmlessLine } from "../../output.ts";
import type { Screen } from "../screen.ts";
import { fieldView } from "./field.ts";
import { problemView } from "./frame.ts";
import type { Paint } from "./paint.ts";

function column(...children: ReactNode[]): ReactElement {
  return h(Box, { flexDirection: "column", paddingX: 2, paddingTop: 1, gap: 1 }, ...children);
}

export function linkView(screen: Extract<Screen, { at: "link" }>, paint: Paint): ReactNode {
  return column(
    h(Text, { bold: true }, "You have not joined a server yet."),
    h(Text, null, "Paste the link that a friend sent you, or the setup link of your own server."),
    fieldView({ label: "Link: ", field: screen.field }),
    screen.busy && h(Text, { dimColor: true }, "Asking the server…"),
    problemView(screen.problem, paint),
  );
}

export function nameView(screen: Extract<Screen, { at: "name" }>, paint: Paint): ReactNode {
  const { inviterName, serverName } = screen.look;
  const from = inviterName === null ? "the setup link" : harmlessLine(inviterName);
  return column(
    h(Text, { bold: true }, `${harmlessLine(serverName)}, by ${from}`),
    h(Text, null, "What shall you be called here? The name can't be changed later."),
    fieldView({ label: "Name: ", field: screen.field }),
    screen.busy && h(Text, { dimColor: true }, "Making your keys…"),
    problemView(screen.problem, paint),
  );
}

export function recoveryView(code: string, paint: Paint): ReactNode {
  return column(
    h(Text, { bold: true }, "Your recovery code"),
    h(Text, { bold: true, ...paint("accent") }, code),
    h(
      Text,
      null,
      "Write it down. It is shown this once, kept nowhere, and the only way back if this device is lost.",
    ),
  );
}
