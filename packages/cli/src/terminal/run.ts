import { constants } from "node:os";
import { render, useInput, usePaste, useWindowSize } from "ink";
import { createElement as h, type ReactElement, useSyncExternalStore } from "react";
import { CommandError, exitCodes } from "../exit.ts";
import { withClient } from "../session.ts";
import { createInteraction, type Interaction } from "./interaction.ts";
import { keysOf, pastedKey } from "./keys.ts";
import { createPaint, type Paint } from "./view/paint.ts";
import { screenView } from "./view/screen.ts";

/** Signals that end the terminal client in order; Ctrl-C is a key here. */
const endings = ["SIGTERM", "SIGHUP", "SIGINT"] as const;

/** The terminal client, from taking the screen to giving it back; that happens on every way out. */
export async function runTerminal(home: string): Promise<void> {
  await withClient(home, async (client) => {
    using interaction = createInteraction(client, home);
    await showUntilEnd(interaction);
  });
}

async function showUntilEnd(interaction: Interaction): Promise<void> {
  const paint = createPaint({ color: !process.env.NO_COLOR });
  const broken = Promise.withResolvers<never>();
  // A listener keeps the process alive through an unexpected fault, so that the screen is given back first.
  const fail = (error: unknown): void => broken.reject(error);
  process.once("uncaughtException", fail);
  const signal = Promise.withResolvers<NodeJS.Signals>();
  for (const ending of endings) process.once(ending, signal.resolve);
  const instance = render(h(Terminal, { interaction, paint }), {
    alternateScreen: true,
    exitOnCtrlC: false,
    interactive: true,
  });
  try {
    const end = await Promise.race([
      interaction.ended,
      signal.promise,
      broken.promise,
      instance.waitUntilExit().then(() => undefined),
    ]);
    if (typeof end === "string") process.exitCode = 128 + constants.signals[end];
  } catch (cause) {
    throw new CommandError(exitCodes.failed, `the terminal client broke: ${String(cause)}`, { cause });
  } finally {
    instance.unmount();
    await instance.waitUntilExit();
    process.removeListener("uncaughtException", fail);
    for (const ending of endings) process.removeListener(ending, signal.resolve);
  }
}

function Terminal(of: { readonly interaction: Interaction; readonly paint: Paint }): ReactElement {
  const { interaction, paint } = of;
  const shown = useSyncExternalStore(interaction.subscribe, () => interaction.shown);
  const size = useWindowSize();
  useInput((input, pressed) => {
    for (const key of keysOf(input, pressed)) interaction.press(key);
  });
  usePaste((text) => interaction.press(pastedKey(text)));
  return screenView({ shown, size, paint });
}
