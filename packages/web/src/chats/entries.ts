import type { Letter } from "@snug/client";
import { sameDay } from "../wording.ts";

/** What stands in a conversation, from top to bottom. */
export type Entry =
  | { readonly is: "opening"; readonly key: string }
  | { readonly is: "day"; readonly key: string; readonly time: number }
  | { readonly is: "gap"; readonly key: string }
  | { readonly is: "new"; readonly key: string }
  /** `follows`: same hand as the one above, shortly after. */
  | { readonly is: "letter"; readonly key: string; readonly letter: Letter; readonly follows: boolean };

/** Letters of one hand within this time stand together. In ms. */
const together = 300_000;

export interface Reading {
  readonly letters: readonly Letter[];
  /** Whether the first of them is the first there is. */
  readonly complete: boolean;
  /** The order of the first letter not seen before the thread was opened. */
  readonly firstNew: number | null;
}

/** Letters, oldest first → what stands on the page. */
export function entriesOf({ letters, complete, firstNew }: Reading): readonly Entry[] {
  const entries: Entry[] = complete ? [{ is: "opening", key: "opening" }] : [];
  let above: Letter | undefined;
  for (const letter of letters) {
    const key = `${letter.from}:${letter.id}`;
    const newDay = !above || !sameDay(above.time, letter.time);
    if (newDay) entries.push({ is: "day", key: `day:${key}`, time: letter.time });
    const gap = letter.state.is === "received" && letter.state.gapBefore;
    if (gap) entries.push({ is: "gap", key: `gap:${key}` });
    const isNew = letter.order === firstNew;
    if (isNew) entries.push({ is: "new", key: "new" });
    const close = above?.from === letter.from && Math.abs(letter.time - above.time) < together;
    entries.push({ is: "letter", key, letter, follows: close && !newDay && !gap && !isNew });
    above = letter;
  }
  return entries;
}

/** The order of the first of the `unread` newest received letters, or null. */
export function firstUnread(letters: readonly Letter[], unread: number): number | null {
  if (unread <= 0) return null;
  const received = letters.filter((letter) => letter.state.is === "received");
  return received.at(-unread)?.order ?? received[0]?.order ?? null;
}
