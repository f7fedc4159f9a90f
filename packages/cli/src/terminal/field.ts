/** A text being typed, with the cursor between its two halves. */
export interface Field {
  readonly before: string;
  readonly after: string;
}

export const emptyField: Field = { before: "", after: "" };

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

export function textOf(field: Field): string {
  return field.before + field.after;
}

export function insert(field: Field, text: string): Field {
  return { ...field, before: field.before + text };
}

/** Takes away what the person sees as one character, whatever its code points. */
export function eraseBack({ before, after }: Field): Field {
  return { before: before.slice(0, before.length - lastGrapheme(before).length), after };
}

export function eraseForward({ before, after }: Field): Field {
  return { before, after: after.slice(firstGrapheme(after).length) };
}

export function moveLeft({ before, after }: Field): Field {
  const moved = lastGrapheme(before);
  return { before: before.slice(0, before.length - moved.length), after: moved + after };
}

export function moveRight({ before, after }: Field): Field {
  const moved = firstGrapheme(after);
  return { before: before + moved, after: after.slice(moved.length) };
}

export function moveToStart(field: Field): Field {
  return { before: "", after: textOf(field) };
}

export function moveToEnd(field: Field): Field {
  return { before: textOf(field), after: "" };
}

function firstGrapheme(text: string): string {
  for (const { segment } of graphemes.segment(text)) return segment;
  return "";
}

/** Looks at the last few characters only: a pasted page would be segmented again at each key. */
function lastGrapheme(text: string): string {
  let last = "";
  for (const { segment } of graphemes.segment(text.slice(-64))) last = segment;
  return last;
}
