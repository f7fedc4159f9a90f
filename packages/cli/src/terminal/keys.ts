/** A key as the screens know it. `text` may be several characters: fast typing arrives in one piece. */
export type Key =
  | { readonly is: "text"; readonly text: string }
  | {
      readonly is:
        | "enter"
        | "escape"
        | "tab"
        | "up"
        | "down"
        | "left"
        | "right"
        | "pageUp"
        | "pageDown"
        | "home"
        | "end"
        | "backspace"
        | "delete"
        | "eraseAll"
        | "interrupt";
    };

/** The part of Ink's key that is looked at. */
export interface Pressed {
  readonly upArrow: boolean;
  readonly downArrow: boolean;
  readonly leftArrow: boolean;
  readonly rightArrow: boolean;
  readonly pageUp: boolean;
  readonly pageDown: boolean;
  readonly home: boolean;
  readonly end: boolean;
  readonly return: boolean;
  readonly escape: boolean;
  readonly tab: boolean;
  readonly backspace: boolean;
  readonly delete: boolean;
  readonly ctrl: boolean;
  readonly meta: boolean;
}

const named = [
  ["return", "enter"],
  ["escape", "escape"],
  ["tab", "tab"],
  ["upArrow", "up"],
  ["downArrow", "down"],
  ["leftArrow", "left"],
  ["rightArrow", "right"],
  ["pageUp", "pageUp"],
  ["pageDown", "pageDown"],
  ["home", "home"],
  ["end", "end"],
  ["backspace", "backspace"],
  ["delete", "delete"],
] as const;

/** Ink's input → keys. A return in the middle of quick typing is the Enter key; a line feed (Ctrl-J) is a new line. */
export function keysOf(input: string, pressed: Pressed): Key[] {
  for (const [flag, is] of named) if (pressed[flag]) return [{ is }];
  if (pressed.ctrl) {
    if (input === "c") return [{ is: "interrupt" }];
    return input === "u" ? [{ is: "eraseAll" }] : [];
  }
  if (pressed.meta) return [];
  const pieces = input.split("\r");
  return pieces.flatMap((piece, at): Key[] => [
    ...(piece === "" ? [] : [{ is: "text" as const, text: typed(piece) }]),
    ...(at < pieces.length - 1 ? [{ is: "enter" as const }] : []),
  ]);
}

/** A pasted text → one key: its line breaks are text, never Enter. */
export function pastedKey(text: string): Key {
  return { is: "text", text: typed(text.replace(/\r\n?/g, "\n")) };
}

/** What can't stand in a letter does not get into the composer. */
function typed(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
